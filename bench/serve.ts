// `pnpm bench serve`: `xmoe-lm serve` under load on loopback, as a process of its own: 1, 8 and 64 clients, and 64 of which some go away. The model
// has the size of the preset tiny and random weights: what is measured is the server and its batching.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createCpuBackend } from '@xmoe/backend-cpu';
import { createEngine, initializeParameters, randomKey, XMoEError } from '@xmoe/core';
import { createLanguageModelFromConfig } from '@xmoe/models';
import { loadLanguagePreset } from '@xmoe/models/presets';
import { writeWeightsRun } from '@xmoe/program';
import { fromOne, numberOf, readToolFlags, runTool } from '@xmoe/testing/programs';
import { trainBpe } from '@xmoe/text';
import { describeEnvironment, environmentMarkdown } from './environment.js';
import { measureLoad } from './load.js';
import { toMarkdown, type Row, type Table } from './table.js';

const HELP = `pnpm bench serve [options]
  --requests N     of each row (default: 256)
  --tokens N       that each request asks for (default: 32)
  --markdown FILE  also write the table as markdown
  --help           this text
`;
const FLAGS = { requests: { type: 'string' }, tokens: { type: 'string' }, markdown: { type: 'string' }, help: { type: 'boolean', short: 'h' } } as const;

const CLI = fileURLToPath(new URL('../apps/lm-pretrain/dist/cli.js', import.meta.url));
const TEXT = 'the king and the queen of the land, the war and the peace of the people';
/** One of so many requests of the last row is broken off. */
const LEAVE_EVERY = 4;

/** A run of the size of tiny with random weights. */
async function writeRun(out: string): Promise<void> {
  const config = loadLanguagePreset('tiny');
  const tokenizer = trainBpe([TEXT], { vocabularySize: 270 });
  const engine = createEngine(createCpuBackend());
  const model = createLanguageModelFromConfig(config, tokenizer.vocabularySize);
  const parameters = initializeParameters(engine, model.parameters, randomKey(1));
  const tensors = Object.entries(parameters).map(([name, tensor]) => ({ name, shape: [...tensor.shape], dtype: 'float32' as const, data: tensor.dataSync() as Float32Array }));
  await writeWeightsRun(out, { record: { program: 'xmoe-lm', preset: 'tiny', backend: 'cpu', data: '', config }, tensors, tokenizer });
  engine.dispose();
}

async function startServer(run: string): Promise<{ url: string; stop(): Promise<string> }> {
  const child = spawn(process.execPath, [CLI, 'serve', run, '--port', '0', '--backend', 'cpu'], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [output, messages] = ['', ''];
  child.stdout.on('data', (data: Buffer) => (output += data.toString()));
  child.stderr.on('data', (data: Buffer) => (messages += data.toString()));
  const ended = once(child, 'close');
  while (!/http:\S+\n/.test(output)) {
    if (child.exitCode !== null) throw new XMoEError('config', `serve ended with ${child.exitCode}: ${messages}`, { op: 'bench' });
    await Promise.race([once(child.stdout, 'data'), ended]);
  }
  return {
    url: /http:\S+/.exec(output)![0],
    async stop() {
      child.kill('SIGTERM');
      await ended;
      return `${messages.trim().split('\n').at(-1)}; exit code ${child.exitCode}`;
    },
  };
}

async function measureAll(url: string, requests: number, tokens: number): Promise<Table> {
  const rows: Row[] = [];
  const body = (seed: number): object => ({ prompt: TEXT.slice(0, 20), max_tokens: tokens, seed });
  const measure = (clients: number, more = {}) => measureLoad({ url: `${url}v1/completions`, body, clients, requests, ...more });
  await measure(8); // warm-up
  for (const [clients, more] of [[1, {}], [8, {}], [64, {}], [64, { leaveEvery: LEAVE_EVERY }]] as const) {
    const result = await measure(clients, more);
    rows.push({ clients: `${clients}${result.left > 0 ? `, ${result.left} requests broken off` : ''}`, ...result, tokensPerSecond: result.perSecond * tokens });
  }
  const { running, waiting } = await (await fetch(`${url}health`)).json() as { running: number; waiting: number };
  return {
    id: 'serve',
    title: 'serve under load',
    note: `${requests} requests of ${tokens} tokens each on loopback, to a model of the size of tiny, 16 texts side by side. A client asks again as soon as it is answered. Afterwards ${running} texts run and ${waiting} wait.`,
    columns: [
      { key: 'clients', label: 'clients' }, { key: 'perSecond', label: 'requests/s', digits: 1 }, { key: 'tokensPerSecond', label: 'tokens/s', digits: 0 },
      { key: 'p50', label: 'p50 ms', digits: 0 }, { key: 'p99', label: 'p99 ms', digits: 0 }, { key: 'answered', label: 'answered', digits: 0 }, { key: 'failed', label: 'failed', digits: 0 },
    ],
    rows,
  };
}

await runTool(async () => {
  const values = readToolFlags('bench', process.argv.slice(2), FLAGS);
  if (values.help) return void process.stdout.write(HELP);
  const count = (name: 'requests' | 'tokens', fallback: number): number => (values[name] === undefined ? fallback : numberOf('bench', `--${name}`, values[name], 'a whole number from 1', fromOne));
  const folder = await mkdtemp(join(tmpdir(), 'xmoe-bench-serve-'));
  try {
    await writeRun(join(folder, 'tiny'));
    const server = await startServer(join(folder, 'tiny'));
    const table = await measureAll(server.url, count('requests', 256), count('tokens', 32));
    const end = await server.stop();
    const text = `${environmentMarkdown(describeEnvironment({ backends: [], peers: [], absent: [] }, { quick: false, repeat: 5 }))}\n${toMarkdown(table)}\nAt its end the server says: ${end}\n`;
    process.stdout.write(text);
    if (values.markdown !== undefined) await writeFile(values.markdown, text);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

// `pnpm bench memory`: the memory of each of 1, 2 and 4 ranks that train one model at the same global batch, beside what a dry run says, for
// docs/distributed.md. Its ranks are distributed/memory-rank.ts.
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { findLauncher, launchLine } from '@xmoe/distributed/node';
import { bytesOf, languageMemoryNeeds, languageModelSize } from '@xmoe/models';
import { loadLanguagePreset } from '@xmoe/models/presets';
import { readToolFlags, runTool } from '@xmoe/testing/programs';
import type { MemoryJob, RankMemory } from './distributed/memory-rank.js';
import { toMarkdown, type Row, type Table } from './table.js';
import { vocabularyOf } from './train-step.js';

const HELP = `pnpm bench memory [options]
  --preset NAME    to train (default: small)
  --set KEY=VALUE  of its configuration; repeatable (default: a model of 40M parameters, most of them experts)
  --backend NAME   default: cpu
  --markdown FILE  also write the table as markdown
  --help           this text
`;
const FLAGS = { preset: { type: 'string' }, set: { type: 'string', multiple: true }, backend: { type: 'string' }, markdown: { type: 'string' }, help: { type: 'boolean', short: 'h' } } as const;

const MODEL = ['model.width=512', 'model.heads=8', 'model.layers=6', 'model.hidden=2048', 'model.contextLength=64', 'moe.experts=16', 'moe.expertHidden=512', 'train.batchSize=2'];
/** Of every update, whoever computes them. */
const MICRO_BATCHES = 4;
const LAYOUTS: readonly { readonly name: string; readonly set: (ranks: number) => readonly string[] }[] = [
  { name: 'data parallel', set: () => [] },
  { name: 'sharded optimiser', set: () => ['train.shardOptimizer=true'] },
  { name: 'expert parallel', set: (ranks) => [`train.expertParallel=${ranks}`] },
  { name: 'both', set: (ranks) => [`train.expertParallel=${ranks}`, 'train.shardOptimizer=true'] },
];

const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
const MEGA = 1e6;

async function memoryOf(ranks: number, job: MemoryJob): Promise<RankMemory[]> {
  const flags = process.execArgv.filter((flag) => flag.startsWith('--conditions'));
  const program = [process.execPath, ...flags, '--import', loader, fileURLToPath(new URL('distributed/memory-rank.ts', import.meta.url)), JSON.stringify(job)];
  const launcher = ranks === 1 ? null : findLauncher();
  const line = launcher ? [launcher.file, ...launchLine(launcher, { ranks, command: program, cores: availableParallelism(), isRoot: process.getuid?.() === 0, env: process.env })] : program;
  const { stdout } = await promisify(execFile)(line[0]!, line.slice(1), { env: { ...process.env, XMOE_THREADS: '1' } });
  return JSON.parse(stdout) as RankMemory[];
}

await runTool(async () => {
  const { preset = 'small', set = MODEL, backend = 'cpu', markdown, help } = readToolFlags('bench', process.argv.slice(2), FLAGS);
  if (help) return void process.stdout.write(HELP);
  const rows: Row[] = [];
  let title = '';
  for (const { name, set: more } of LAYOUTS) {
    for (const ranks of [1, 2, 4]) {
      if (ranks === 1 && rows.length > 0) continue;
      const job = { backend, preset, set: [...set, `train.accumulation=${MICRO_BATCHES}`, 'train.reduction=deterministic', ...more(ranks)] };
      const config = loadLanguagePreset(preset, { set: job.set });
      title = `Memory of a rank: ${(languageModelSize(config, vocabularyOf(config)).parameters / MEGA).toFixed(1)}M parameters`;
      const all = await memoryOf(ranks, job);
      const most = (of: keyof RankMemory): number => Math.max(...all.map((rank) => rank[of])) / MEGA;
      rows.push({ layout: ranks === 1 ? 'one process' : name, ranks, forecast: bytesOf(languageMemoryNeeds(config, vocabularyOf(config), ranks).needs) / MEGA, engine: most('engine'), resident: most('resident') });
    }
  }
  const table: Table = {
    id: 'memory', title,
    note: `MB of the rank that has most, after updates of ${MICRO_BATCHES} micro-batches of the preset ${preset} with ${set.join(' ')}. Forecast: train --dry-run, a lower bound. Engine: its memory, with recordings and idle room. Resident: the most that the process had, without what it had before there was a model.`,
    columns: [{ key: 'layout', label: 'layout' }, { key: 'ranks', label: 'ranks', digits: 0 }, { key: 'forecast', label: 'forecast', digits: 0 }, { key: 'engine', label: 'engine', digits: 0 }, { key: 'resident', label: 'resident', digits: 0 }],
    rows,
  };
  const text = toMarkdown(table);
  process.stdout.write(text);
  if (markdown !== undefined) await writeFile(markdown, text);
});

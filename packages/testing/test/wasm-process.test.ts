// The compiled engine as a process meets it: nobody has to dispose it, and a worker that is killed in the middle of training
// is a clear error, not a hang. Failures inside the engine are provoked one by one in backend-cpu.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';

const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;

/** Sums of products on all threads; `workers` are those that the engine started. */
const PROGRAM = `
  import { createRequire, syncBuiltinESMExports } from 'node:module';
  import { setTimeout as sleep } from 'node:timers/promises';
  import { createWasmBackend } from '@xmoe/backend-cpu';
  import { createEngine, isXMoEError, matmul, sum } from '@xmoe/core';

  const threads = createRequire(import.meta.url)('node:worker_threads');
  const workers = [];
  threads.Worker = class extends threads.Worker {
    constructor(...options) {
      super(...options);
      workers.push(this);
    }
  };
  syncBuiltinESMExports();

  const backend = await createWasmBackend();
  const engine = createEngine(backend);
  const ones = engine.ones([256, 256]);
  const product = () => engine.scope(() => sum(matmul(ones, ones)).dataSync()[0]);
`;

async function run(program: string, environment: Record<string, string>) {
  const child = spawn(process.execPath, ['--conditions=@xmoe/source', '--import', loader, '--input-type=module', '-'], {
    stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...environment }, timeout: 50_000, cwd: new URL('.', import.meta.url),
  });
  const text = { output: '', messages: '' };
  child.stdout.on('data', (data: Buffer) => (text.output += data.toString()));
  child.stderr.on('data', (data: Buffer) => (text.messages += data.toString()));
  child.stdin.end(PROGRAM + program);
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  return { code, signal, ...text };
}

describe('a process', () => {
  it('ends by itself, with as many workers as XMOE_THREADS asks for', async () => {
    expect(await run('console.log(product(), workers.length, backend.description);', { XMOE_THREADS: '3' })).toEqual({
      code: 0, signal: null, messages: '', output: expect.stringMatching(/^16777216 2 CPU, 3 threads, WebAssembly/),
    });
  });

  it('does not start with a bad XMOE_THREADS', async () => {
    const { code, output, messages } = await run('console.log(product());', { XMOE_THREADS: 'two' });
    expect({ code, output }).toEqual({ code: 1, output: '' });
    expect(messages).toMatch(/XMoEError.*XMOE_THREADS/s);
  });

  it('whose worker is killed gets an error that names it, at once and again, and can go on with a new backend', async () => {
    const { code, signal, output, messages } = await run(`
      product();
      workers[1].terminate();
      const problems = [];
      for (let i = 0; i < 5000 && problems.length < 2; i++) {
        try {
          product();
        } catch (error) {
          problems.push([isXMoEError(error), error.code, error.message, error.hint]);
        }
        await sleep(1);
      }
      console.log(JSON.stringify(problems));
      const other = createEngine(await createWasmBackend());
      console.log(other.scope(() => sum(other.ones([300, 300])).dataSync()[0]));
    `, { XMOE_THREADS: '3' });
    expect({ code, signal, messages }).toEqual({ code: 0, signal: null, messages: '' });
    const [problems, sum] = output.trim().split('\n').map((line) => JSON.parse(line) as unknown);
    const clear = [true, 'backend', expect.stringMatching(/: a worker died: /), expect.stringContaining('new backend')];
    expect(problems).toEqual([clear, clear]);
    expect(sum).toBe(90000);
  });
});

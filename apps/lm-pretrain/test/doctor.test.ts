// doctor and --version: what they say is so, and a backend that does not work is told apart from one that does.
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createCpuBackend } from '@xmoe/backend-cpu';
import type { Kernels } from '@xmoe/core';
import * as backends from '@xmoe/backends';
import { mustRun, runHere } from './support.js';

vi.mock('@xmoe/backends', { spy: true });

afterEach(() => {
  vi.unstubAllEnvs();
  vi.mocked(backends.openBackend).mockRestore();
});

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };

/** The lines of the output by their label. */
async function doctor(): Promise<Record<string, string>> {
  const { output } = await runHere('doctor');
  return Object.fromEntries(output.split('\n').map((line) => line.trim().split(/  +/)).filter((parts) => parts.length === 2) as [string, string][]);
}

/** Which it is depends on Node and processor, and the line says why it is not the fastest. */
const ENGINE = 'WebAssembly relaxed SIMD(, re-vectorised| \\(not re-vectorised: .+\\))?';

describe('doctor', () => {
  it('names the machine, the variant and the threads, and has a line for every backend', async () => {
    vi.stubEnv('XMOE_THREADS', '3');
    const { output } = await mustRun('doctor');
    expect(output.split('\n')[0]).toBe(`xmoe-lm ${version}`);
    const lines = await doctor();
    expect(Object.keys(lines)).toEqual(['Node', 'WebAssembly', 'CPU engine', ...backends.BACKEND_NAMES]);
    expect(lines.Node).toContain(process.version);
    expect(lines.WebAssembly).toBe('SIMD, threads, relaxed SIMD');
    expect(lines['CPU engine']).toMatch(new RegExp(`^CPU, 3 threads, ${ENGINE}$`));
    expect(lines['cpu:wasm']).toBe(`works: ${lines['CPU engine']}`);
    expect(lines['cpu:plain']).toMatch(/^works: .*plain/);
    expect(lines['tfjs:wasm']).toMatch(/^works: /);
  });

  it('says why a backend does not work, and what to do', async () => {
    vi.stubEnv('XMOE_THREADS', '99');
    const lines = await doctor();
    expect(lines['cpu:wasm']).toMatch(/^no: XMOE_THREADS is 99; give a whole number/);
    expect(lines['cpu:plain']).toMatch(/^works: /);
    for (const name of ['tfjs:cuda', 'tfjs:node']) expect(lines[name]).toMatch(/^(works: .*|no: .*; .*npx xmoe-tfjs-native.*)/);
  });

  it('notices a backend that computes wrong numbers, and fails when it is the default', async () => {
    const { fill } = createCpuBackend().kernels;
    vi.mocked(backends.openBackend).mockImplementation(async (name) => {
      if (name !== 'auto') throw new Error('it broke\nat line 1');
      const backend = createCpuBackend();
      const kernels = { ...backend.kernels, fill: (_inputs, { out }, { value }) => fill({}, { out }, { value: 2 * value }) } as Kernels;
      return { backend: { ...backend, kernels }, reason: 'as a test' };
    });
    const { code, output } = await runHere('doctor');
    expect(code).toBe(1);
    expect(output).toContain('wrong: ones [4, 6] times ones [6, 5] sum to 480 instead of 120 (as a test)');
    expect(output).toMatch(/^ {2}cpu +no: it broke$/m);
  });
});

describe('--version', () => {
  it('is the version and the CPU engine', async () => {
    vi.stubEnv('XMOE_THREADS', '1');
    expect((await mustRun('--version')).output).toMatch(new RegExp(`^${version}\nCPU engine: CPU, one thread, ${ENGINE}\n$`));
  });

  it('says when the engine is the plain one', async () => {
    vi.mocked(backends.openBackend).mockResolvedValue({ backend: createCpuBackend(), reason: 'as a test' });
    expect((await mustRun('--version')).output).toMatch(/^CPU engine: CPU, .*plain TypeScript.* \(--backend cpu:wasm says why\)$/m);
  });
});

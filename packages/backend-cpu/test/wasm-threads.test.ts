// The threads of the engine when something goes wrong, and how they end: failing kernels, dead and stuck workers, settings,
// a process that exits by itself, and memory that stays flat.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Backend, Operand } from '@xmoe/core';
import { createWasmBackend } from '@xmoe/backend-cpu';
import { startWorker } from '../src/engine/platform.js';
import { whyNotRevectorized } from '../src/engine/probe.js';
import type * as probe from '../src/engine/probe.js';
import * as revectorize from '../src/engine/revectorize.js';
import type * as selfCheck from '../src/engine/self-check.js';
import { noProducts } from '../src/engine/products.js';
import { chunkOf, createTeam, type TeamOptions } from '../src/engine/team.js';
import { loadVariant } from '../src/engine/variants.js';
import { webAssembly } from '../src/engine/webassembly.js';

/** Answers of the self-check, before the real ones. */
const verdicts: boolean[] = [];
vi.mock('../src/engine/self-check.js', async (original) => {
  const real = await original<typeof selfCheck>();
  return { passesSelfCheck: (backend: Backend) => verdicts.shift() ?? real.passesSelfCheck(backend) };
});

/** What speaks against the re-vectorised variant in a test. */
let refusal: string | undefined;
vi.mock('../src/engine/probe.js', async (original) => {
  const real = await original<typeof probe>();
  return { ...real, whyNotRevectorized: async () => refusal ?? real.whyNotRevectorized() };
});
const isRevectorized = (await whyNotRevectorized()) === undefined;

/** A team on a memory of its own, whose workers run a script that `change` made of theirs. */
async function teamWith(change: (code: string) => string, more: Partial<TeamOptions> = {}) {
  const { module } = await loadVariant('simd');
  const memory = new webAssembly!.Memory({ initial: 64, maximum: 65536, shared: true });
  const { exports: functions } = await webAssembly!.instantiate(module, { env: { memory, sgemm: noProducts } });
  functions.initializeThread(2 ** 20, 0);
  const start = (code: string, data: object) => startWorker(change(code), data);
  return createTeam({ module, memory, functions, threads: 2, scratchOf: () => 2 ** 21, start, ...more });
}

const replace = (from: string, to: string) => (code: string): string => {
  expect(code).toContain(from);
  return code.replace(from, to);
};

/** Arguments of `gemm` for a product of ones-by-ones at addresses that exist: 64 rows, blocks of one row. */
const GEMM = [2 ** 21 + 2 ** 20, 2 ** 21 + 2 ** 20 + 4096, 2 ** 21 + 2 ** 20 + 8192, 64, 1, 1, 0, 0, 0, 1, 1];
const OUTSIDE = [0xfffffff0, 0xfffffff0, 0xfffffff0, ...GEMM.slice(3)];

/** Until the worker has taken a piece: the caller may be faster. */
function repeatUntilThrown(run: () => void): void {
  for (let i = 0; i < 20_000; i++) run();
}

it('cuts few items so that no thread has much more of them than the others', () => {
  expect(chunkOf(16, 16, 2)).toBe(2); // three pieces per thread would be 9 and 7 items
  expect(chunkOf(8, 8, 2)).toBe(2);
  expect(chunkOf(6000, 63, 2)).toBe(1000); // no more pieces than are worth it
  expect(chunkOf(16, 2, 2)).toBe(8); // nor than were allowed
});

describe('a kernel that fails', () => {
  it('on the calling thread, alone or with others, is named', async () => {
    const team = await teamWith((code) => code);
    expect(() => team.run('gemm', 1, 1, OUTSIDE)).toThrow(/compiled kernel gemm failed: .*out of bounds/);
    expect(() => team.run('gemm', 64, 1, OUTSIDE)).toThrow(/compiled kernel gemm failed: .*out of bounds/);
    expect(() => team.run('gemm', 64, 1, GEMM)).not.toThrow();
    team.stop();
  });

  it('only in a worker is named too, and the next job runs', async () => {
    const team = await teamWith(replace('kernels[kernel](begin', 'if (total === 64) throw new Error("boom"); kernels[kernel](begin'));
    expect(() => repeatUntilThrown(() => team.run('gemm', 64, 1, GEMM))).toThrow(/gemm failed: in a worker, Error: boom/);
    expect(() => team.run('gemm', 63, 1, GEMM)).not.toThrow();
    team.stop();
  });
});

describe('a worker', () => {
  it('that does not start is an error', async () => {
    await expect(teamWith(() => 'throw new Error("no such thing")')).rejects.toThrow(/a worker did not start/);
  });

  it('that dies later is an error of the next call', async () => {
    // Dead at once, it might be taken for one that never started.
    const pause = 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);';
    const team = await teamWith(replace("port.postMessage('ready');", `port.postMessage('ready'); ${pause} throw new Error('struck by lightning');`));
    await vi.waitFor(() => expect(() => team.run('gemm', 64, 1, GEMM)).toThrow(/a worker died: struck by lightning/), { timeout: 20_000 });
    team.stop();
  });

  it('that holds its piece for too long is an error, now and later', async () => {
    const team = await teamWith(replace('kernels[kernel](begin', 'Atomics.wait(words, 0, 0); kernels[kernel](begin'), { stallMilliseconds: 200 });
    expect(() => repeatUntilThrown(() => team.run('gemm', 64, 1, GEMM))).toThrow(/holds its piece/);
    expect(() => team.run('gemm', 64, 1, GEMM)).toThrow(/holds its piece/);
    team.stop();
  });

  it('that never looks up is no error: the caller does its share', async () => {
    const team = await teamWith(replace("port.postMessage('ready');", "port.postMessage('ready'); Atomics.wait(words, 0, 0);"));
    for (let i = 0; i < 10; i++) team.run('gemm', 64, 1, GEMM);
    team.stop();
    expect(() => team.run('gemm', 64, 1, GEMM)).not.toThrow();
  });
});

describe('settings', () => {
  beforeEach(() => {
    refusal = 'not in this test';
  });
  afterEach(() => {
    refusal = undefined;
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
  });

  async function described(options?: Parameters<typeof createWasmBackend>[0]): Promise<string> {
    const backend = await createWasmBackend(options);
    backend.dispose();
    return `${backend.name}: ${backend.description}`;
  }

  it('name the variant and the threads', async () => {
    expect(await described({ threads: 1, variant: 'simd' })).toBe('cpu:wasm: CPU, one thread, WebAssembly SIMD');
    expect(await described({ threads: 2, variant: 'relaxed' })).toBe('cpu:wasm: CPU, 2 threads, WebAssembly relaxed SIMD');
  });

  it('take XMOE_THREADS, and refuse what is no number of threads', async () => {
    vi.stubEnv('XMOE_THREADS', '3');
    expect(await described()).toContain('3 threads');
    vi.stubEnv('XMOE_THREADS', 'many');
    await expect(createWasmBackend()).rejects.toThrow(/XMOE_THREADS is many/);
    for (const threads of [0, -1, 1.5, 65, NaN]) await expect(createWasmBackend({ threads })).rejects.toThrow(/threads is/);
  });

  it('fall back to plain SIMD where relaxed instructions compute wrong numbers, but not when asked for', async () => {
    verdicts.push(false);
    expect(await described({ threads: 1 })).toContain('WebAssembly SIMD');
    verdicts.push(false);
    await expect(createWasmBackend({ threads: 1, variant: 'relaxed' })).rejects.toThrow(/relaxed kernels compute wrong numbers/);
  });

  it('fall back to plain SIMD, and say so where there is none', async () => {
    const real = webAssembly!.validate.bind(webAssembly);
    let calls = 0; // relaxed, relaxed with its flag, simd
    const validate = vi.spyOn(webAssembly!, 'validate').mockImplementation((bytes) => ++calls > 2 && real(bytes));
    expect(await described({ threads: 1 })).toContain('WebAssembly SIMD');
    validate.mockReturnValue(false);
    await expect(createWasmBackend({ threads: 1 })).rejects.toMatchObject({ code: 'backend', message: /lacks SIMD/, hint: /createCpuBackend/ });
    await expect(createWasmBackend({ threads: 1, variant: 'relaxed' })).rejects.toThrow(/lacks relaxed SIMD/);
  });
});

describe('the re-vectorised variant', () => {
  const node = process.versions.node;
  afterEach(() => {
    refusal = undefined;
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
    Object.defineProperty(process.versions, 'node', { value: node, enumerable: true });
  });

  const described = async (options: Parameters<typeof createWasmBackend>[0]): Promise<string> => {
    const backend = await createWasmBackend(options);
    backend.dispose();
    return backend.description;
  };

  it('gives way to the fastest other one with a reason: by default, by option, by XMOE_WASM_VARIANT', async () => {
    Object.defineProperty(process.versions, 'node', { value: '22.9.0', enumerable: true });
    const reason = 'CPU, one thread, WebAssembly relaxed SIMD (not re-vectorised: Node 22.9.0 is older than 23.5)';
    expect(await described({ threads: 1, variant: 'revectorized' })).toBe(reason);
    if (process.arch === 'x64') expect(await described({ threads: 1 })).toBe(reason);
    vi.stubEnv('XMOE_WASM_VARIANT', 'revectorized');
    expect(await described({ threads: 1 })).toBe(reason);
    vi.stubEnv('XMOE_WASM_VARIANT', 'simd');
    expect(await described({ threads: 1 })).toBe('CPU, one thread, WebAssembly SIMD');
    vi.stubEnv('XMOE_WASM_VARIANT', 'revectorised');
    await expect(createWasmBackend()).rejects.toMatchObject({ code: 'config', message: /did you mean revectorized\?/ });
  });

  it('is not begun in a process whose probe failed', async () => {
    refusal = 'the probe failed: it ended with SIGTRAP';
    const compile = vi.spyOn(revectorize, 'compileForJoining');
    expect(await described({ threads: 1 })).toContain('relaxed SIMD (not re-vectorised: the probe failed: it ended with SIGTRAP)');
    expect(compile).not.toHaveBeenCalled();
  });

  it('says nothing where no Node would have it, unless asked', async () => {
    const arch = process.arch;
    Object.defineProperty(process, 'arch', { value: 'arm64', enumerable: true });
    try {
      expect(await described({ threads: 1 })).toBe('CPU, one thread, WebAssembly relaxed SIMD');
      expect(await described({ threads: 1, variant: 'revectorized' })).toContain('(not re-vectorised: the processor is arm64, not x64)');
    } finally {
      Object.defineProperty(process, 'arch', { value: arch, enumerable: true });
    }
  });

  it.runIf(isRevectorized)('is the default, can be switched off, and gives way when it computes wrong numbers', async () => {
    expect(await described({ threads: 2 })).toBe('CPU, 2 threads, WebAssembly relaxed SIMD, re-vectorised');
    vi.stubEnv('XMOE_WASM_VARIANT', 'relaxed');
    expect(await described({ threads: 2 })).toBe('CPU, 2 threads, WebAssembly relaxed SIMD');
    verdicts.push(false);
    expect(await described({ threads: 1, variant: 'revectorized' })).toBe('CPU, one thread, WebAssembly relaxed SIMD (not re-vectorised: the kernels computed wrong numbers)');
  });
});

describe('memory', () => {
  const make = (backend: Backend, shape: readonly number[], value: number, dtype: 'float32' | 'float16' = 'float32'): Operand => {
    const length = shape.reduce((product, extent) => product * extent, 1);
    const operand: Operand = { buffer: backend.allocate(dtype, length), shape, dtype };
    backend.write(operand, new Float32Array(length).fill(value));
    return operand;
  };

  it('is flat over steps whose sizes differ', async () => {
    const backend = await createWasmBackend({ threads: 2 });
    const step = (rows: number): void => {
      // float16 operands are decoded into scratch, which must be free again at the next call.
      const [a, b, out] = [make(backend, [1, rows, 96], 1, 'float16'), make(backend, [1, 96, 160], 1, 'float16'), make(backend, [1, rows, 160], 0)];
      backend.kernels.matmul({ a, b }, { out }, { transposeA: false, transposeB: false });
      const last = backend.readSync!(out);
      expect(last[last.length - 1]).toBe(96);
      for (const { buffer } of [a, b, out]) backend.free(buffer);
    };
    for (const rows of [900, 900, 900]) step(rows);
    const before = backend.memory().bytes;
    for (let i = 0; i < 300; i++) step(1 + ((i * 389) % 900));
    expect(backend.memory().bytes).toBe(before);
    backend.dispose();
  });

  it('beyond 2 GiB is addressed, and its end is an error that names the sizes', async () => {
    const backend = await createWasmBackend({ threads: 2 });
    const filler = [1, 2].map(() => backend.allocate('float32', 300 * 2 ** 20)); // 1.2 GiB each, never touched
    const [a, b, out] = [make(backend, [1, 70, 70], 2), make(backend, [1, 70, 70], 3), make(backend, [1, 70, 70], 0)];
    backend.kernels.matmul({ a, b }, { out }, { transposeA: false, transposeB: true });
    expect(new Set(backend.readSync!(out))).toEqual(new Set([420]));
    expect(() => backend.allocate('float32', 500 * 2 ** 20)).toThrow(/no room for 2000\.0 MiB beside the 2\d{3}\.\d MiB in use/);
    for (const buffer of filler) backend.free(buffer);
    expect(() => backend.allocate('float32', 500 * 2 ** 20)).not.toThrow();
    backend.dispose();
  });
});

it('a process that made a backend and forgot it exits by itself', async () => {
  const script = `
    const { createWasmBackend } = await import('@xmoe/backend-cpu');
    const backend = await createWasmBackend({ threads: 3 });
    const make = (n) => ({ buffer: backend.allocate('float32', n * n), shape: [1, n, n], dtype: 'float32' });
    const [a, b, c] = [make(300), make(300), make(300)];
    backend.write(a, new Float32Array(90000).fill(1));
    backend.write(b, new Float32Array(90000).fill(1));
    backend.kernels.matmul({ a, b }, { out: c }, { transposeA: false, transposeB: false });
    process.stdout.write('sum ' + backend.readSync(c)[89999]);
  `;
  const run = promisify(execFile)(process.execPath, ['--conditions=@xmoe/source', '--import', 'tsx', '--input-type=module', '-e', script], { timeout: 50_000 });
  expect((await run).stdout).toBe('sum 300');
});

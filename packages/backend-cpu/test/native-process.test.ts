// A library in a process with several threads: it ends by itself, whatever was forgotten; addresses beyond 2 GiB and memory that grows are the
// library's too; what a worker cannot load is an error of opening.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { sizeOf, type Operand } from '@xmoe/core';
import { createNativeBackend } from '@xmoe/backend-cpu/node';
import { findLibrary } from '../src/native/find-library.js';
import { openEngine } from '../src/wasm-backend.js';
import { testLibrary } from './native-support.js';

const library = testLibrary();
const { file } = library as { file: string };

describe.runIf('file' in library)('with a library', () => {
  it.each(['', 'backend.dispose();', 'process.exit(0);'])('a process ends by itself after %j, several times over', async (ending) => {
    const script = `
      const { createNativeBackend } = await import('@xmoe/backend-cpu/node');
      const make = (backend, n) => ({ buffer: backend.allocate('float32', n * n), shape: [1, n, n], dtype: 'float32' });
      let backend;
      for (let round = 0; round < 3; round++) {
        backend = await createNativeBackend({ threads: 3, library: ${JSON.stringify(file)} });
        const [a, b, out] = [1, 2, 3].map(() => make(backend, 500));
        for (const operand of [a, b]) backend.write(operand, new Float32Array(250000).fill(1));
        backend.kernels.matmul({ a, b }, { out }, { transposeA: false, transposeB: false });
        process.stdout.write('sum ' + backend.readSync(out)[249999] + '\\n');
      }
      ${ending}
    `;
    const run = promisify(execFile)(process.execPath, ['--conditions=@xmoe/source', '--import', 'tsx', '--input-type=module', '-e', script], { timeout: 100_000 });
    expect(await run).toEqual({ stdout: 'sum 500\n'.repeat(3), stderr: '' });
  });

  it('what lies beyond 2 GiB, in memory that has grown, is multiplied where it lies', async () => {
    const backend = await createNativeBackend({ threads: 2, library: file });
    const filler = [1, 2].map(() => backend.allocate('float32', 300 * 2 ** 20)); // 1.2 GiB each, never touched
    const make = (shape: readonly number[], value: number): Operand => {
      const operand: Operand = { buffer: backend.allocate('float32', sizeOf(shape)), shape, dtype: 'float32' };
      backend.write(operand, new Float32Array(sizeOf(shape)).fill(value));
      return operand;
    };
    const [a, b, out] = [make([1, 700, 300], 2), make([1, 260, 300], 3), make([1, 700, 260], NaN)];
    backend.kernels.matmul({ a, b }, { out }, { transposeA: false, transposeB: true });
    expect(new Set(backend.readSync!(out))).toEqual(new Set([1800]));
    for (const buffer of filler) backend.free(buffer);
    backend.dispose();
  });

  it('a worker that cannot load it is an error of opening', async () => {
    const products = findLibrary({ threads: 2, library: file });
    const broken = { ...products, link: { ...products.link, library: '/nowhere/libopenblas.so' }, open: (base: number) => products.open(base) };
    await expect(openEngine({ threads: 2 }, broken)).rejects.toThrow(/a worker did not start/);
  });
});

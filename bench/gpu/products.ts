// Every tile of the matrix products, dense and grouped, in both precisions: TFLOP/s, and how far results are from those of the first tile.
import type { WebGpuBackend } from '@xmoe/backend-webgpu';
import { sizeOf, type DType, type Operand } from '@xmoe/core';

/** Prints a line about what was found. */
export type Say = (facts: object) => void;

export function operandOf(backend: WebGpuBackend, dtype: DType, shape: readonly number[]): Operand {
  return { buffer: backend.allocate(dtype, sizeOf(shape)), shape, dtype };
}

/** M, N, K and the layout of a step of the 323M model. */
const DENSE = [
  [4096, 3072, 768, false, false], [4096, 768, 3072, false, false], [4096, 2048, 768, false, true], [768, 2304, 4096, true, false], [4096, 4096, 4096, false, false],
] as const;
/** Experts, rows of all, K and M. */
const GROUPED = [[64, 32768, 768, 384], [64, 32768, 384, 768], [8, 4096, 768, 3072]] as const;

interface Product {
  readonly what: object;
  readonly flops: number;
  readonly out: Operand;
  readonly operands: readonly Operand[];
  run(): void;
}

export async function measureProducts(backend: WebGpuBackend, say: Say, small: boolean): Promise<void> {
  const scale = small ? 16 : 1;
  for (const dtype of backend.traits.float16 ? (['float16', 'float32'] as const) : (['float32'] as const)) {
    for (const [M, N, K, transposeA, transposeB] of small ? DENSE.slice(0, 2) : DENSE) await attempt(say, () => measure(backend, say, dtype, dense(backend, dtype, M / scale, N / scale, K / scale, transposeA, transposeB), small));
    for (const shape of small ? GROUPED.slice(2) : GROUPED) await attempt(say, () => measure(backend, say, dtype, grouped(backend, dtype, shape, scale), small));
  }
}

async function attempt(say: Say, work: () => Promise<void>): Promise<void> {
  await work().catch((error: unknown) => say({ error: error instanceof Error ? error.message.slice(0, 1000) : String(error) }));
}

/** Uniform in [0, 1). */
function noise(backend: WebGpuBackend, dtype: DType, shape: readonly number[], stream: number): Operand {
  const key = operandOf(backend, 'uint32', [2]);
  backend.write(key, [1, 2]);
  const drawn = operandOf(backend, 'float32', shape);
  backend.kernels.random({ key }, { out: drawn }, { stream });
  backend.free(key.buffer);
  if (dtype === 'float32') return drawn;
  const out = operandOf(backend, dtype, shape);
  backend.kernels.cast({ x: drawn }, { out });
  backend.free(drawn.buffer);
  return out;
}

function dense(backend: WebGpuBackend, dtype: DType, M: number, N: number, K: number, transposeA: boolean, transposeB: boolean): Product {
  const [a, b] = [noise(backend, dtype, transposeA ? [1, K, M] : [1, M, K], 1), noise(backend, dtype, transposeB ? [1, N, K] : [1, K, N], 2)];
  const out = operandOf(backend, 'float32', [1, M, N]);
  return { what: { M, N, K, transposeA, transposeB }, flops: 2 * M * N * K, out, operands: [a, b, out], run: () => backend.kernels.matmul(
    { a, b },
    { out }, { transposeA, transposeB },
  ) };
}

function grouped(backend: WebGpuBackend, dtype: DType, [experts, allRows, allK, allM]: (typeof GROUPED)[number], scale: number): Product {
  const [rows, K, M] = [allRows / scale, allK / scale, allM / scale];
  const [x, w] = [noise(backend, dtype, [rows, K], 3), noise(backend, dtype, [experts, K, M], 4)];
  const [offsets, out] = [operandOf(backend, 'int32', [experts + 1]), operandOf(backend, 'float32', [rows, M])];
  backend.write(offsets, Array.from({ length: experts + 1 }, (_, expert) => Math.round((expert * rows) / experts)));
  return { what: { experts, rows, K, M }, flops: 2 * rows * K * M, out, operands: [x, w, offsets, out], run: () => backend.kernels.groupedMatmul(
    { x, w, offsets },
    { out }, { transposeW: false },
  ) };
}

async function measure(backend: WebGpuBackend, say: Say, dtype: DType, { what, flops, out, operands, run }: Product, small: boolean): Promise<void> {
  const { tilings } = backend;
  const plain = tilings.candidates({ kind: 'matmul', half: false, layout: 'oi', M: 1, N: 1, K: 1, count: 1 });
  const tiles = dtype === 'float16' ? [...tilings.matrices, ...plain.slice(0, 2)] : plain.slice(0, small ? 2 : 12);
  let reference: ArrayLike<number> | undefined;
  const rows: object[] = [];
  for (const tile of tiles) {
    tilings.forced = tile;
    try {
      await backend.compile(run);
      run();
      const found = await backend.read({ buffer: out.buffer, shape: [Math.min(4096, out.shape.reduce((a, b) => a * b, 1))], dtype: 'float32' });
      reference ??= found;
      const first = reference;
      const difference = Array.from(found).reduce((worst, value, index) => Math.max(worst, Math.abs(value - first[index]!)), 0);
      rows.push({ tile: nameOf(tile), teraflops: flops / (await bestMs(backend, run, out, small ? 1 : 20)) / 1e9, difference });
    } catch (error) {
      rows.push({ tile: nameOf(tile), error: String(error).slice(0, 300) });
    } finally {
      tilings.forced = undefined;
    }
  }
  for (const { buffer } of operands) backend.free(buffer);
  say({ dtype, ...what, rows });
}

function nameOf(tile: WebGpuBackend['tilings']['matrices'][number] | NonNullable<WebGpuBackend['tilings']['forced']>): string {
  const size = `${tile.tileM}x${tile.tileN}x${tile.tileK}`;
  return tile.kind === 'matrix' ? `${size} matrices ${tile.subgroupsM}x${tile.subgroupsN}` : `${size} plain ${tile.threadM}x${tile.threadN}${tile.prefetch ? ' prefetch' : ''}`;
}

/** Milliseconds per run, the best of three queues of `runs`, by the host's clock. */
async function bestMs(backend: WebGpuBackend, run: () => void, out: Operand, runs: number): Promise<number> {
  let best = Infinity;
  for (let round = 0; round < 3; round++) {
    const began = performance.now();
    for (let i = 0; i < runs; i++) run();
    await backend.read({ buffer: out.buffer, shape: [1], dtype: 'float32' });
    best = Math.min(best, (performance.now() - began) / runs);
  }
  return best;
}

// Plain matrix products on every backend, through the op that users call. The yardstick for all the other tables.
import { matmul, type Tensor } from '@xmoe/core';
import { disposeAll, finish, normalTensor, type Device } from './forward-backward.js';
import { measureInterleaved, type Contestant, type MeasureOptions } from './measure.js';
import { gemmShapes, type GemmShape } from './shapes.js';
import { TIME_COLUMNS, type Row, type Table } from './table.js';

export async function benchGemm(devices: readonly Device[], quick: boolean, options: MeasureOptions): Promise<Table[]> {
  const rows: Row[] = [];
  for (const shape of gemmShapes(quick)) rows.push(...(await compare(devices, shape, options)));
  return [{
    id: 'gemm',
    title: 'GEMM of each backend',
    note: 'M×K×N is [M, K] · [K, N] in float32; ᵀ: the right side is stored as [N, K]. Backends take turns at each shape.',
    columns: [
      { key: 'shape', label: 'shape' }, { key: 'backend', label: 'backend' }, ...TIME_COLUMNS,
      { key: 'gflops', label: 'GFLOP/s' }, { key: 'share', label: 'of the fastest' },
    ],
    rows,
  }];
}

async function compare(devices: readonly Device[], shape: GemmShape, options: MeasureOptions): Promise<Row[]> {
  const { M, K, N, transposeB } = shape;
  const kept: Tensor[] = [];
  const contestants = devices.map(({ name, engine }): Contestant => {
    const a = normalTensor(engine, [M, K], 1);
    const b = normalTensor(engine, transposeB ? [N, K] : [K, N], 2);
    kept.push(a, b);
    return { name, run: () => finish([matmul(a, b, { transposeB })]) };
  });
  const timings = await measureInterleaved(contestants, options);
  disposeAll(kept);
  const fastest = Math.min(...timings.map(({ min }) => min));
  return timings.map(({ min, median }, index) => ({
    shape: shape.label, backend: devices[index].name, minMs: min, medianMs: median, gflops: (2 * M * K * N) / min / 1e6, share: fastest / min,
  }));
}

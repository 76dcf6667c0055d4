// Matrix products of our WebGPU backend beside PyTorch's and those of TensorFlow.js, in both precisions, and as a share of what
// the device's large product reaches.
import { matmul, type FloatDType, type Tensor } from '@xmoe/core';
import { disposeAll, inDType, queued, type Device, type Pass } from '../forward-backward.js';
import { measureInterleaved, ratioOf, type Contestant, type MeasureOptions, type Timing } from '../measure.js';
import { formulaValues, requireAgreement } from '../peers/formula.js';
import { verdict, verdictColumns } from '../peers/target.js';
import type { GemmShape } from '../shapes.js';
import { TIME_COLUMNS, type Row, type Table } from '../table.js';
import type { WebGpuPeers } from './open.js';
import { PRODUCTS, type WebGpuScale } from './shapes.js';

/** float16 operands are rounded, sums are not. */
const AGREEMENT: Readonly<Record<FloatDType, number>> = { float32: 2e-3, float16: 2e-2 };

export async function benchWebGpuGemm(peers: WebGpuPeers, scale: WebGpuScale, options: MeasureOptions): Promise<Table[]> {
  const rows: Row[] = [];
  for (const dtype of peers.dtypes) {
    const measured: Measured[] = [];
    for (const shape of PRODUCTS[scale]) measured.push(await measure(peers, shape, dtype, options));
    const probe = Math.max(...measured[0]!.sides.map(({ rate }) => rate));
    rows.push(...measured.flatMap((item) => rowsOf(item, dtype, probe)));
  }
  return [{
    id: 'webgpu-gemm',
    title: 'GEMM on WebGPU beside the peers',
    note: 'M×K×N is [M, K] · [K, N]; ᵀ: the right side is stored as [N, K]. float16: operands and results in half precision, sums in single. Of the probe: the rate / '
      + 'the best rate that anybody here reaches in that precision at the first shape. PyTorch computes float32 without TF32. Ours / peer: how many times faster ours is.',
    columns: [
      { key: 'dtype', label: 'dtype' }, { key: 'shape', label: 'shape' }, { key: 'who', label: 'library' }, ...TIME_COLUMNS,
      { key: 'gflops', label: 'GFLOP/s (min)', digits: 1 }, { key: 'share', label: 'of the probe', digits: 3 }, ...verdictColumns('ours / peer').slice(0, 2),
    ],
    rows,
  }];
}

interface Side {
  readonly who: string;
  readonly timing: Timing;
  /** FLOP per ms. */
  readonly rate: number;
}

interface Measured {
  readonly shape: GemmShape;
  /** Ours first. */
  readonly sides: readonly Side[];
}

async function measure({ ours, tfjs, torch }: WebGpuPeers, shape: GemmShape, dtype: FloatDType, options: MeasureOptions): Promise<Measured> {
  const devices = tfjs && dtype === 'float32' ? [ours, tfjs] : [ours];
  const products = await Promise.all(devices.map((device) => prepare(device, shape, dtype)));
  const sides: { who: string; contestant: Contestant; value: number }[] = products.map(({ pass, value }, index) => ({ who: devices[index]!.name, contestant: pass.contestant, value }));
  // PyTorch's half product on a CPU is missing or emulated.
  if (torch && (dtype === 'float32' || torch.device === 'cuda')) sides.push({ who: torch.name, ...(await torch.prepareGemm(shape, dtype)) });
  for (const { who, value } of sides.slice(1)) requireAgreement(`GEMM ${shape.label} in ${dtype}`, who, [sides[0]!.value], [value], AGREEMENT[dtype]);
  const timings = await measureInterleaved(sides.map(({ contestant }) => contestant), options);
  for (const { pass, operands } of products) {
    pass.dispose();
    disposeAll(operands);
  }
  await torch?.drop();
  const flops = 2 * shape.M * shape.K * shape.N;
  return { shape, sides: timings.map((timing, index) => ({ who: sides[index]!.who, timing, rate: flops / timing.min })) };
}

async function prepare({ name, engine }: Device, { M, K, N, transposeB }: GemmShape, dtype: FloatDType): Promise<{ pass: Pass; operands: Tensor[]; value: number }> {
  const a = inDType(engine.tensor(formulaValues(M * K, 1, 1), [M, K]), dtype);
  const b = inDType(engine.tensor(formulaValues(K * N, 2, 1), transposeB ? [N, K] : [K, N]), dtype);
  const product = matmul(a, b, { transposeB });
  const value = (await product.data()).at(-1) as number;
  product.dispose();
  return { pass: queued(name, engine, () => [matmul(a, b, { transposeB })]), operands: [a, b], value };
}

function rowsOf({ shape, sides }: Measured, dtype: FloatDType, probe: number): Row[] {
  return sides.map(({ who, timing, rate }, index) => ({
    dtype, shape: shape.label, who, minMs: timing.min, medianMs: timing.median, gflops: rate / 1e6, share: rate / probe,
    ...(index === 0 ? {} : verdict(ratioOf(timing, sides[0]!.timing), null)),
  }));
}

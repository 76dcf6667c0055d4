// Matrix products of our CPU engine beside those of its peers.
import { matmul } from '@xmoe/core';
import type { Device } from '../forward-backward.js';
import { measureInterleaved, ratioOf, type MeasureOptions } from '../measure.js';
import { gemmShapes, type GemmShape } from '../shapes.js';
import { TIME_COLUMNS, type Row, type Table } from '../table.js';
import { formulaValues, requireAgreement } from './formula.js';
import type { GemmPeer, PreparedGemm } from './peer.js';
import { TARGETS, verdict, verdictColumns, type Target } from './target.js';

/** The targets hold for the first shape. */
const GEMM_TARGETS: Readonly<Record<string, Target>> = { 'TensorFlow.js wasm': TARGETS.gemmTfjs, 'jax-js wasm': TARGETS.gemmJax };
/** Compiled kernels are no library's. */
const NATIVE_TARGETS: Readonly<Record<string, Target>> = { ...GEMM_TARGETS, numpy: TARGETS.gemmNumpy };

export async function benchPeerGemm(ours: Device, peers: readonly GemmPeer[], quick: boolean, options: MeasureOptions): Promise<Table[]> {
  const rows: Row[] = [];
  for (const [index, shape] of gemmShapes(quick).entries()) rows.push(...(await compare(ours, peers, shape, index === 0, options)));
  return [{
    id: 'peers-gemm',
    title: 'GEMM beside the peers',
    note: 'M×K×N is [M, K] · [K, N] in float32; ᵀ: the right side is stored as [N, K]. All take turns at each shape, with the same numbers, and their '
      + 'results are compared. Ours / peer: how many times faster ours is.',
    columns: [
      { key: 'shape', label: 'shape' }, { key: 'who', label: 'library' }, ...TIME_COLUMNS,
      { key: 'gflops', label: 'GFLOP/s (min)', digits: 1 }, { key: 'gflopsMedian', label: 'GFLOP/s (median)', digits: 1 }, ...verdictColumns('ours / peer'),
    ],
    rows,
  }];
}

async function compare(ours: Device, peers: readonly GemmPeer[], shape: GemmShape, judged: boolean, options: MeasureOptions): Promise<Row[]> {
  const prepared = [await prepareOurs(ours, shape)];
  for (const peer of peers) {
    const theirs = await peer.prepareGemm(shape);
    prepared.push(theirs);
    requireAgreement(`GEMM ${shape.label}`, peer.name, [prepared[0].value], [theirs.value]);
  }
  const timings = await measureInterleaved(prepared.map(({ contestant }) => contestant), options);
  for (const item of prepared) await item.dispose();
  const targets = ours.name === 'cpu:native' ? NATIVE_TARGETS : GEMM_TARGETS;
  const flops = 2 * shape.M * shape.K * shape.N;
  return timings.map((timing, index) => {
    const who = index === 0 ? ours.name : peers[index - 1].name;
    const cells = { shape: shape.label, who, minMs: timing.min, medianMs: timing.median, gflops: flops / timing.min / 1e6, gflopsMedian: flops / timing.median / 1e6 };
    return index === 0 ? cells : { ...cells, ...verdict(ratioOf(timing, timings[0]), judged ? (targets[who] ?? null) : null) };
  });
}

/** The engine computes at once, so a product is done when the op returns. */
async function prepareOurs({ name, engine }: Device, { M, K, N, transposeB }: GemmShape): Promise<PreparedGemm> {
  const a = engine.tensor(formulaValues(M * K, 1, 1), [M, K]).keep();
  const b = engine.tensor(formulaValues(K * N, 2, 1), transposeB ? [N, K] : [K, N]).keep();
  const product = matmul(a, b, { transposeB });
  const value = (await product.data()).at(-1) as number;
  product.dispose();
  return {
    value,
    contestant: { name, run: async () => matmul(a, b, { transposeB }).dispose() },
    async dispose() {
      a.dispose();
      b.dispose();
    },
  };
}

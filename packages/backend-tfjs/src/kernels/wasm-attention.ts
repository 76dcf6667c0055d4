// attention and its gradient on the wasm build, one head at a time: plain matrix products on views of the heap and the
// SIMD softmax. The probabilities are never kept: the gradient computes them again.
import { LOWEST_FLOAT32, sizeOf, type AttentionOptions, type FusedKernels, type Operand } from '@xmoe/core/backend';
import { dropoutRun } from '@xmoe/kernels-host';
import { boxOf } from '../box.js';
import type { WasmContext } from './wasm-context.js';
import { indexOfLargest, softmaxRows } from './wasm-softmax.js';

const FLOAT = 4;

/** Work space: slot numbers of the pieces of one head. */
const SLOT = { scaled: 0, transposed: 1, scores: 2, probability: 3, dropped: 4, upstream: 5, flipped: 6, keys: 7, values: 8 } as const;

interface Head {
  readonly index: number;
  readonly Tq: number;
  readonly Tk: number;
  readonly D: number;
  readonly q: number;
  readonly k: number;
  readonly mask: Uint8Array | undefined;
  readonly options: AttentionOptions;
}

/** Whether all rows that the mask hides are finite: 0 times them is 0 as they stand. */
function hidesFinite(rows: Float32Array, mask: Uint8Array, D: number): boolean {
  for (let j = 0; j < mask.length; j++) {
    if (mask[j]) continue;
    for (let i = j * D; i < (j + 1) * D; i++) if (!Number.isFinite(rows[i])) return false;
  }
  return true;
}

/** The address of keys or values of a head, in the slot with zeros where the mask hides them: 0 times NaN would be NaN. */
function seenRows({ heap }: WasmContext, { Tk, D, mask }: Head, rows: number, slot: number): number {
  if (!mask || hidesFinite(heap.floats(rows, Tk * D), mask, D)) return rows;
  const seen = heap.scratch(slot, Tk * D);
  const copy = heap.floats(seen, Tk * D);
  copy.set(heap.floats(rows, Tk * D));
  for (let j = 0; j < Tk; j++) if (!mask[j]) copy.fill(0, j * D, (j + 1) * D);
  return seen;
}

/** Writes −∞ where query i may not see key j. */
function hideKeys(scores: Float32Array, { Tq, Tk, mask, options }: Head): void {
  for (let i = 0, row = 0; options.causal && i < Tq; i++, row += Tk) {
    scores.fill(-Infinity, row + visibleKeys(i, Tq, Tk), row + Tk);
  }
  for (let j = 0; mask && j < Tk; j++) {
    if (!mask[j]) for (let at = j; at < scores.length; at += Tk) scores[at] = -Infinity;
  }
}

/** Leaves softmax(scale·q·kᵀ + mask) [Tq, Tk] in the probability slot and the masked scores in theirs. */
function probabilities(context: WasmContext, head: Head): { scores: number; probability: number } {
  const { heap } = context;
  const { Tq, Tk, D } = head;
  const scaled = heap.scratch(SLOT.scaled, Tq * D);
  const keys = heap.scratch(SLOT.transposed, D * Tk);
  const scores = heap.scratch(SLOT.scores, Tq * Tk);
  const probability = heap.scratch(SLOT.probability, Tq * Tk);
  heap.scalar('Multiply', head.q, head.options.scale, scaled, Tq * D);
  heap.transpose(head.k, keys, Tk, D);
  heap.gemm(scaled, keys, scores, Tq, D, Tk);
  hideKeys(heap.floats(scores, Tq * Tk), head);
  softmaxRows(context, scores, probability, Tq, Tk);
  return { scores, probability };
}

/** Dropout of one head's [Tq, Tk]: from `x` to `out`, which may be `x`. */
function dropHead({ heap }: WasmContext, key: Operand, head: Head, x: number, out: number): void {
  const n = head.Tq * head.Tk;
  const { stream, dropoutRate } = head.options;
  dropoutRun(boxOf(key).words!, stream, dropoutRate, head.index * n, heap.floats(x, n), heap.floats(out, n), n);
}

function headsOf(context: WasmContext, q: Operand, k: Operand, keyMask: Operand | null, options: AttentionOptions): Head[] {
  const [BH, Tq, D] = q.shape;
  const Tk = k.shape[1];
  const [queries, keys] = [context.input(q), context.input(k)];
  const mask = keyMask ? context.flags(keyMask) : undefined;
  return Array.from({ length: BH }, (_, index) => {
    const batch = Math.floor(index / options.heads);
    return {
      index, Tq, Tk, D, options,
      q: queries + index * Tq * D * FLOAT,
      k: keys + index * Tk * D * FLOAT,
      mask: mask?.subarray(batch * Tk, (batch + 1) * Tk),
    };
  });
}

/** Σ_d a[i, d]·b[i, d] per row, into `out`. */
function rowDots(a: Float32Array, b: Float32Array, out: Float32Array, D: number): void {
  for (let i = 0, at = 0; i < out.length; i++) {
    let sum = 0;
    for (let d = 0; d < D; d++, at++) sum += a[at] * b[at];
    out[i] = sum;
  }
}

interface HeadGradient {
  readonly v: number;
  readonly out: number;
  readonly dout: number;
  readonly dq: number;
  readonly dk: number;
  readonly dv: number;
}

function headGradient(context: WasmContext, head: Head, key: Operand | null, at: HeadGradient): void {
  const { heap } = context;
  const { Tq, Tk, D, options } = head;
  const n = Tq * Tk;
  const drops = options.dropoutRate > 0 && key !== null;
  const { scores, probability } = probabilities(context, head);
  const used = drops ? heap.scratch(SLOT.dropped, n) : probability;
  if (drops) dropHead(context, key, head, probability, used);
  const flipped = heap.scratch(SLOT.flipped, n);
  heap.transpose(used, flipped, Tq, Tk);
  heap.gemm(flipped, at.dout, at.dv, Tk, Tq, D);
  // dScores = P ∘ (dP − Σ out·dout); the sum over keys equals the row dots because out = P·v.
  const upstream = heap.scratch(SLOT.upstream, n);
  const values = heap.scratch(SLOT.transposed, D * Tk);
  heap.transpose(seenRows(context, head, at.v, SLOT.values), values, Tk, D);
  heap.gemm(at.dout, values, upstream, Tq, D, Tk);
  if (drops) dropHead(context, key, head, upstream, upstream);
  const dots = heap.scratch(SLOT.scaled, Math.max(Tq, Tq * D));
  rowDots(heap.floats(at.out, Tq * D), heap.floats(at.dout, Tq * D), heap.floats(dots, Tq), D);
  heap.binary('Sub', { address: upstream, shape: [Tq, Tk] }, { address: dots, shape: [Tq, 1] }, upstream, n);
  heap.binary('Multiply', { address: upstream, shape: [n] }, { address: probability, shape: [n] }, scores, n);
  heap.scalar('Multiply', scores, options.scale, scores, n);
  heap.gemm(scores, seenRows(context, head, head.k, SLOT.keys), at.dq, Tq, Tk, D);
  heap.transpose(scores, flipped, Tq, Tk);
  heap.gemm(flipped, head.q, at.dk, Tk, Tq, D);
}

const noScores = new Float32Array(0);

/** How many leading keys a query may see. */
function visibleKeys(query: number, Tq: number, Tk: number): number {
  return Math.max(0, Math.min(Tk, query + 1 + Tk - Tq));
}

/** Per query its largest score and that one's probability, which is 1 / Σ exp(score − largest). */
function writeStatistics(stats: Float32Array, scores: Float32Array, probabilities: Float32Array, Tk: number, causal = false): void {
  for (let i = 0, row = 0; i < stats.length; i += 2, row += Tk) {
    const best = indexOfLargest(scores, row, causal ? visibleKeys(i / 2, stats.length / 2, Tk) : Tk);
    const isBlind = !(probabilities[best] > 0);
    stats[i] = isBlind ? LOWEST_FLOAT32 : scores[best];
    stats[i + 1] = isBlind ? 0 : probabilities[best];
  }
}

/** Zeros for every output: a product over no rows or columns. */
function clear(context: WasmContext, ...outputs: readonly Operand[]): void {
  for (const out of outputs) context.heap.floats(context.output(out), sizeOf(out.shape)).fill(0);
}

export function wasmAttention(context: WasmContext): Pick<FusedKernels, 'attention' | 'attentionGrad'> {
  const { heap } = context;
  return {
    attention({ q, k, v, keyMask, key }, { out, stats }, options) {
      const [BH, Tq, D] = q.shape;
      const Tk = k.shape[1];
      if (BH * Tq * D * Tk === 0) {
        clear(context, out);
        writeStatistics(heap.floats(context.output(stats), 2 * BH * Tq), noScores, noScores, 0);
        return;
      }
      const [target, statistics, values] = [context.output(out), context.output(stats), context.input(v)];
      for (const head of headsOf(context, q, k, keyMask, options)) {
        const { scores, probability } = probabilities(context, head);
        const own = heap.floats(statistics + 2 * head.index * Tq * FLOAT, 2 * Tq);
        writeStatistics(own, heap.floats(scores, Tq * Tk), heap.floats(probability, Tq * Tk), Tk, options.causal);
        if (options.dropoutRate > 0 && key) dropHead(context, key, head, probability, probability);
        const seen = seenRows(context, head, values + head.index * Tk * D * FLOAT, SLOT.values);
        heap.gemm(probability, seen, target + head.index * Tq * D * FLOAT, Tq, Tk, D);
      }
    },
    attentionGrad({ q, k, v, keyMask, key, out, dout }, { dq, dk, dv }, options) {
      const [BH, Tq, D] = q.shape;
      const Tk = k.shape[1];
      if (BH * Tq * D * Tk === 0) return clear(context, dq, dk, dv);
      const [queryGrad, keyGrad, valueGrad] = [context.output(dq), context.output(dk), context.output(dv)];
      const [values, outputs, upstream] = [context.input(v), context.input(out), context.input(dout)];
      for (const head of headsOf(context, q, k, keyMask, options)) {
        const [query, keyed] = [head.index * Tq * D * FLOAT, head.index * Tk * D * FLOAT];
        headGradient(context, head, key, {
          v: values + keyed, out: outputs + query, dout: upstream + query,
          dq: queryGrad + query, dk: keyGrad + keyed, dv: valueGrad + keyed,
        });
      }
    },
  };
}

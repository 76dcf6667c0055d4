// Whether attention by subgroup matrices can be trusted on this device: asked after products, once, when a backend is made. Its programs must
// compile, and give what the plain kernels give, with everything that they can do at once. Never an error, only an answer.
import { sizeOf, type DType, type Kernels, type Operand } from '@xmoe/core';
import type { AttentionMatrices } from '../kernels/attention-matrix-wgsl.js';
import { wave, type CheckedBackend } from './check-matrices.js';

/** More than two workgroups and blocks each way, and no multiple of them; more keys than queries. */
const SIZES = { batch: 2, queries: 150, keys: 172 };
/** Of the largest number of a result: float16 probabilities and gradients of scores, and sums of them. */
const TOLERANCE = 1e-2;

/** Makes `tilings.attention` of matrices that can be trusted, with heads of size `D`. What to say about it. */
export async function checkAttention(backend: CheckedBackend, matrices: AttentionMatrices | undefined, D = 64): Promise<string> {
  if (!matrices) return 'none in attention';
  const trial = prepareTrial(backend, D);
  const { tilings } = backend;
  const results = async (): Promise<ArrayLike<number>[]> => {
    trial.run();
    return Promise.all(trial.results.map((out) => backend.read(out)));
  };
  try {
    tilings.attention = undefined;
    const expected = await results();
    tilings.attention = matrices;
    const uncompiled = await backend.compile(() => trial.run());
    const problem = uncompiled === undefined ? differenceOf(expected, await results()) : `does not compile (${uncompiled})`;
    if (problem === undefined) return 'also in attention';
    tilings.attention = undefined;
    return `none in attention: it ${problem}`;
  } catch (error) {
    tilings.attention = undefined;
    return `none in attention: it fails (${error instanceof Error ? error.message : String(error)})`;
  } finally {
    for (const { buffer } of trial.operands) backend.free(buffer);
  }
}

function differenceOf(expected: readonly ArrayLike<number>[], found: readonly ArrayLike<number>[]): string | undefined {
  for (const [index, values] of expected.entries()) {
    const largest = Array.from(values).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const wrong = Array.from(values).findIndex((value, i) => !(Math.abs(found[index]![i]! - value) <= TOLERANCE * largest));
    if (wrong >= 0) return `computes ${found[index]![wrong]} for ${values[wrong]} in ${['out', 'stats', 'dq', 'dk', 'dv'][index]}`;
  }
  return undefined;
}

/** Attention and its gradient, causal, masked and with dropout, on operands of their own. */
function prepareTrial(backend: CheckedBackend, D: number): { operands: readonly Operand[]; results: readonly Operand[]; run(): void } {
  const { batch, queries, keys } = SIZES;
  const kernels = backend.kernels as Kernels;
  const operands: Operand[] = [];
  const make = (dtype: DType, shape: readonly number[], values?: ArrayLike<number>): Operand => {
    const operand = { buffer: backend.allocate(dtype, sizeOf(shape)), shape, dtype };
    operands.push(operand);
    if (values) backend.write(operand, values);
    return operand;
  };
  const half = (length: number, salt?: number, size = 1): Operand => {
    const shape = [batch, length, D];
    return make('float16', shape, salt === undefined ? undefined : wave(sizeOf(shape), salt).map((value) => value * size));
  };
  const [q, k, v, dout] = [half(queries, 7, 4), half(keys, 13), half(keys, 5), half(queries, 11)];
  const keyMask = make('bool', [batch, keys], Array.from({ length: batch * keys }, (_, i) => Number(i % 7 !== 3)));
  const key = make('uint32', [2], [7, 9]);
  const [out, dq, dk, dv] = [half(queries), half(queries), half(keys), half(keys)];
  const stats = make('float32', [batch, queries, 2]);
  const options = { heads: 1, causal: true, scale: 1 / Math.sqrt(D), dropoutRate: 0.25, stream: 3 };
  return {
    operands,
    results: [out, stats, dq, dk, dv],
    run() {
      kernels.attention({ q, k, v, keyMask, key }, { out, stats }, options);
      kernels.attentionGrad({ q, k, v, keyMask, key, out, stats, dout }, { dq, dk, dv }, options);
    },
  };
}

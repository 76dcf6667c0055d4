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
  const { tilings } = backend;
  const trials = [prepareTrial(backend, D, false), prepareTrial(backend, D, true)];
  const runWith = (chosen: AttentionMatrices | undefined): void => {
    tilings.attention = chosen;
    for (const { run } of trials) run();
  };
  const resultsWith = async (chosen: AttentionMatrices | undefined): Promise<ArrayLike<number>[]> => {
    runWith(chosen);
    return Promise.all(trials.flatMap(({ results }) => Object.values(results)).map((out) => backend.read(out)));
  };
  let problem: string | undefined;
  try {
    const uncompiled = await backend.compile(() => [undefined, matrices].forEach(runWith));
    const names = trials.flatMap(({ results }) => Object.keys(results));
    problem = uncompiled === undefined ? differenceOf(names, await resultsWith(undefined), await resultsWith(matrices)) : `does not compile (${uncompiled})`;
  } catch (error) {
    problem = `fails (${error instanceof Error ? error.message : String(error)})`;
  } finally {
    for (const { operands } of trials) for (const { buffer } of operands) backend.free(buffer);
  }
  tilings.attention = problem === undefined ? matrices : undefined;
  return problem === undefined ? 'also in attention' : `none in attention: it ${problem}`;
}

function differenceOf(names: readonly string[], expected: readonly ArrayLike<number>[], found: readonly ArrayLike<number>[]): string | undefined {
  for (const [index, values] of expected.entries()) {
    const largest = Array.from(values).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const wrong = Array.from(values).findIndex((value, i) => !(Math.abs(found[index]![i]! - value) <= TOLERANCE * largest));
    if (wrong >= 0) return `computes ${found[index]![wrong]} for ${values[wrong]} in ${names[index]}`;
  }
  return undefined;
}

interface Trial {
  readonly operands: readonly Operand[];
  /** What to compare. */
  readonly results: Readonly<Record<string, Operand>>;
  run(): void;
}

/**
 * Attention and its gradient, causal, masked and with dropout, on operands of their own. `sharp`: scores near 10⁹, and of all keys of a head
 * one is shown: its probability is 1 where the gradient makes the bits of the scores that went into stats, and else anything.
 */
function prepareTrial(backend: CheckedBackend, D: number, sharp: boolean): Trial {
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
  const [q, k, v, dout] = [half(queries, 7, sharp ? 3e4 : 4), half(keys, 13, sharp ? 3e4 : 1), half(keys, 5), half(queries, 11)];
  // Every query may see the first keys - queries + 1 keys.
  const keyMask = make('bool', [batch, keys], Array.from({ length: batch * keys }, (_, i) => Number(sharp ? i === 0 || i === keys + 22 : i % 7 !== 3)));
  const key = make('uint32', [2], [7, 9]);
  const [out, dq, dk, dv] = [half(queries), half(queries), half(keys), half(keys)];
  const stats = make('float32', [batch, queries, 2]);
  const options = { heads: 1, causal: true, scale: 1 / Math.sqrt(D), dropoutRate: 0.25, stream: 3 };
  return {
    operands,
    // Other gradients of sharp scores are differences of equal numbers.
    results: sharp ? { out, stats, dv } : { out, stats, dq, dk, dv },
    run() {
      kernels.attention({ q, k, v, keyMask, key }, { out, stats }, options);
      kernels.attentionGrad({ q, k, v, keyMask, key, out, stats, dout }, { dq, dk, dv }, options);
    },
  };
}

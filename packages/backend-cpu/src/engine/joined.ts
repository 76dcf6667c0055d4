// The kernels besides products that gain by being re-vectorised: softmax, attention, GELU, some gradients, AdamW. Each called once on
// small operands, so that V8 compiles it then, and compared with the plain kernels. What is not here is memory-bound, or V8 finds no pairs in it:
// docs/decisions/0059 has the figures.
import type { Activation, Backend, DType, Kernels, Operand, TensorData } from '@xmoe/core';
import { createCpuBackend } from '../backend.js';

const [ROWS, COLUMNS] = [5, 21]; // pairs of vectors, one vector, and a rest
const [HEADS, LENGTH, DEPTH] = [2, 19, 8];
/** Of |found − plain| / (1 + |plain|): rounding is far below, an exchanged lane far above. */
const TOLERANCE = 1e-4;

const ACTIVATIONS = ['gelu-tanh', 'gelu-erf'] as const;

/** An operand with these contents; without, numbers in [−2, 2) that repeat late. */
type Make = (shape: readonly number[], dtype?: DType, value?: (index: number) => number) => Operand;

const numberOf = (seed: number) => (index: number): number => (((index + seed) * 7919) % 1013) / 253.25 - 2;

/** Results of the joined kernels on `backend`. Computes before it first waits. */
export async function joinedResults(backend: Backend): Promise<TensorData[]> {
  const made: Operand[] = [];
  const make: Make = (shape, dtype = 'float32', value = numberOf(made.length)) => {
    const length = shape.reduce((product, extent) => product * extent, 1);
    const operand: Operand = { buffer: backend.allocate(dtype, length), shape, dtype };
    backend.write(operand, Float64Array.from({ length }, (_, i) => value(i)));
    made.push(operand);
    return operand;
  };
  const outputs = callJoined(backend.kernels as Kernels, make);
  const found = await Promise.all(outputs.map((output) => backend.read(output)));
  for (const { buffer } of made) backend.free(buffer);
  return found;
}

function callJoined(kernels: Kernels, make: Make): Operand[] {
  const rows = (): Operand => make([ROWS, COLUMNS]);
  const [x, dy, bias] = [rows(), rows(), make([1, COLUMNS])];
  const probabilities = rows();
  kernels.softmax({ x }, { out: probabilities });
  const activated = ACTIVATIONS.flatMap((activation) => {
    const [out, dx, dbias] = [rows(), rows(), make([1, COLUMNS])];
    kernels.biasActivation({ x, bias, offsets: null }, { out }, { activation });
    kernels.biasActivationGrad({ x, bias, offsets: null, dy }, { dx, dbias }, { activation });
    return [out, dx, dbias];
  });
  const [targets, peak, sum, picked, scale] = [make([ROWS], 'int32', (i) => 3 * i), make([ROWS]), make([ROWS]), make([ROWS]), make([ROWS])];
  kernels.crossEntropyStats({ logits: x, targets }, { peak, sum, picked, total: null }, { offset: 0, vocabulary: COLUMNS });
  const dlogits = rows();
  kernels.crossEntropyGrad({ logits: x, targets, peak, sum, scale }, { dlogits }, { offset: 0, vocabulary: COLUMNS, labelSmoothing: 0.1 });
  return [probabilities, ...activated, dlogits, ...callAttention(kernels, make), ...callGradients(kernels, make)];
}

function callAttention(kernels: Kernels, make: Make): Operand[] {
  const head = (): Operand => make([HEADS, LENGTH, DEPTH]);
  const [q, k, v, dout] = [head(), head(), head(), head()];
  const [out, stats] = [head(), make([HEADS, LENGTH, 2])];
  const options = { heads: HEADS, causal: true, scale: 0.35, dropoutRate: 0, stream: 0 };
  kernels.attention({ q, k, v, keyMask: null, key: null }, { out, stats }, options);
  const [dq, dk, dv] = [head(), head(), head()];
  kernels.attentionGrad({ q, k, v, keyMask: null, key: null, out, stats, dout }, { dq, dk, dv }, options);
  return [out, dq, dk, dv];
}

function callGradients(kernels: Kernels, make: Make): Operand[] {
  const rows = (): Operand => make([ROWS, COLUMNS]);
  const vector = (length: number): Operand => make([length]);
  const [x, dy, gamma, mean, rstd] = [rows(), rows(), vector(COLUMNS), vector(ROWS), vector(ROWS)];
  const [dx, dgamma, dbeta] = [rows(), vector(COLUMNS), vector(COLUMNS)];
  kernels.layerNormGrad({ x, gamma, mean, rstd, dy }, { dx, dgamma, dbeta });
  const ofExperts = ACTIVATIONS.flatMap((activation) => callExperts(kernels, make, activation));
  const hyper = make([10], 'float32', (i) => [0.01, 0.9, 0.95, 1e-8, 0.1, 0.1, 0.05, 1, 0.1, 0.05][i]);
  const [parameter, m] = [vector(COLUMNS), vector(COLUMNS)];
  const v = make([COLUMNS], 'float32', (i) => i / COLUMNS);
  kernels.adamStep({ gradients: [vector(COLUMNS)], hyper }, { parameters: [parameter], m: [m], v: [v] }, { decay: true });
  return [dx, dgamma, dbeta, ...ofExperts, parameter, m, v];
}

/** Each row is the one claim of its token, all of one expert. */
function callExperts(kernels: Kernels, make: Make, activation: Activation): Operand[] {
  const rows = (): Operand => make([ROWS, COLUMNS]);
  const [itself, claimRow] = [make([ROWS], 'int32', (i) => i), make([ROWS, 1], 'int32', (i) => i)];
  const offsets = make([2], 'int32', (i) => i * ROWS);
  const [w1, w2] = [make([1, COLUMNS, COLUMNS]), make([1, COLUMNS, COLUMNS])];
  const [rowGradients, dWeights, dw2] = [rows(), make([ROWS, 1]), make([1, COLUMNS, COLUMNS])];
  kernels.expertsBackward(
    { x: rows(), pre: rows(), weights: make([ROWS, 1]), w1, w2, b2: make([1, COLUMNS]), dy: rows(), rowToken: itself, rowSelf: null, rowClaim: itself, claimRow, offsets },
    { rowGradients, dWeights, dw1: null, db1: null, dw2, db2: null }, { activation },
  );
  return [rowGradients, dWeights, dw2];
}

/** Whether the joined kernels of `backend` compute what the plain ones do. Computes before it first waits. */
export async function joinsRightly(backend: Backend): Promise<boolean> {
  const found = await joinedResults(backend);
  const plain = createCpuBackend();
  const expected = await joinedResults(plain);
  plain.dispose();
  return found.every((values, at) => values.every((value, i) => Math.abs(value - expected[at][i]) <= TOLERANCE * (1 + Math.abs(expected[at][i]))));
}

// The MoE layer as the obvious loop over kept claims, in float64: y = Σ w · E_i(x). The oracle of the tensor layer; not fast.
// The gradients are in layer-gradients.ts.
import { XMoEError } from '@xmoe/core';
import { type FlatLogits, type Routing } from '@xmoe/routers/reference';
import { type ExpertActivation, activationOf } from './activation.js';
import { type DispatchPlan, type PlanOptions, planDispatch } from './plan.js';

/** Parameters, row-major. */
export interface MoeParameters<A = ArrayLike<number>> {
  /** [d, C]: logits = x · routerWeight. */
  readonly routerWeight: A;
  /** [N, d, s]. */
  readonly w1: A;
  /** [N, s]. */
  readonly b1: A;
  /** [N, s, d]. */
  readonly w2: A;
  /** [N, d]: inside the expert, so the weight scales it. */
  readonly b2: A;
}

export interface MoeLayerInput extends PlanOptions {
  readonly T: number;
  readonly N: number;
  /** C: columns of the logits. Default N; more with null experts. */
  readonly gateOutputs?: number;
  readonly d: number;
  readonly s: number;
  /** [T, d]. */
  readonly x: ArrayLike<number>;
  readonly parameters: MoeParameters;
  /**
   * The router: logits [T, C] → routing, for example `(logits) => routeThreshold(logits, { threshold: 0.9, mask })`.
   * Ask for `precision: 'float64'` to compare gradients with differences.
   */
  readonly route: (logits: FlatLogits) => Routing;
  /** Default `gelu-tanh`. */
  readonly activation?: ExpertActivation;
}

export interface MoeLayerOutput {
  /** [T, d]: zero for a token with no kept claim; the residual is the caller's. */
  readonly y: Float64Array;
  /** [T, C]. */
  readonly logits: Float64Array;
  readonly routing: Routing;
  readonly plan: DispatchPlan;
  /** [T, N]: the weight of each kept claim, else 0. */
  readonly combineWeights: Float64Array;
  /** Share of hidden units above 0 over the rows of kept claims only; 0 when none is kept. */
  readonly positiveShare: number;
}

/**
 * The forward pass of one routing group: gate, plan, experts, combine.
 * @throws XMoEError `shape` when an array does not have the length its shape says, naming it
 */
export function moeLayerReference(input: MoeLayerInput): MoeLayerOutput {
  checkShapes(input);
  const { T, N, gateOutputs: C = N, d, s, x, parameters } = input;
  const logits = new Float64Array(T * C); // [T, C]
  for (let token = 0; token < T; token++) {
    for (let column = 0; column < C; column++) {
      for (let i = 0; i < d; i++) logits[token * C + column] += x[token * d + i] * parameters.routerWeight[i * C + column];
    }
  }
  const routing = input.route({ values: logits, tokens: T, experts: C });
  if (routing.tokens !== T || routing.experts !== N) {
    const message = `the router returned [${routing.tokens}, ${routing.experts}] for logits [${T}, ${N}]`;
    throw new XMoEError('shape', message, { op: 'moeLayer' });
  }
  const plan = planDispatch(routing, input);
  const y = new Float64Array(T * d); // [T, d]
  const combineWeights = new Float64Array(T * N); // [T, N]
  let positive = 0;
  for (const [token, expert, , weight] of plan.kept) {
    combineWeights[token * N + expert] = weight;
    const { before, output } = runExpert(input, token, expert);
    positive += before.reduce((count, z) => count + (z > 0 ? 1 : 0), 0);
    output.forEach((value, i) => (y[token * d + i] += weight * value));
  }
  const positiveShare = plan.kept.length === 0 ? 0 : positive / (plan.kept.length * s);
  return { y, logits, routing, plan, combineWeights, positiveShare };
}

/** One token through one expert: E(x) = W2 · act(W1 · x + b1) + b2. */
export function runExpert(input: MoeLayerInput, token: number, expert: number): Record<'before' | 'hidden' | 'output', Float64Array> {
  const { d, s, x, parameters } = input;
  const { w1, b1, w2, b2 } = parameters;
  const before = new Float64Array(s); // W1 · x + b1
  for (let j = 0; j < s; j++) {
    before[j] = b1[expert * s + j];
    for (let i = 0; i < d; i++) before[j] += w1[(expert * d + i) * s + j] * x[token * d + i];
  }
  const hidden = before.map(activationOf(input.activation ?? 'gelu-tanh').value);
  const output = new Float64Array(d);
  for (let i = 0; i < d; i++) {
    output[i] = b2[expert * d + i];
    for (let j = 0; j < s; j++) output[i] += w2[(expert * s + j) * d + i] * hidden[j];
  }
  return { before, hidden, output };
}

function checkShapes({ T, N, gateOutputs: C = N, d, s, x, parameters }: MoeLayerInput): void {
  const expected: [string, ArrayLike<number>, number[]][] = [
    ['x', x, [T, d]],
    ['routerWeight', parameters.routerWeight, [d, C]],
    ['w1', parameters.w1, [N, d, s]],
    ['b1', parameters.b1, [N, s]],
    ['w2', parameters.w2, [N, s, d]],
    ['b2', parameters.b2, [N, d]],
  ];
  for (const [name, values, shape] of expected) {
    if (values.length === shape.reduce((product, size) => product * size, 1)) continue;
    throw new XMoEError('shape', `${name} has ${values.length} numbers, its shape is [${shape.join(', ')}]`, { op: 'moeLayer' });
  }
}

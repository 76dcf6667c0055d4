// What Figure 8 is drawn from: the forward pass of one layer, timed for several sizes of expert and several capacities, dispatched by
// indices as this library does, and by masks [T, N, C] as the published code does. All take turns. Showing it is figure8.ts.
import { openBackend } from '@xmoe/backends';
import {
  biasActivation, cast, createEngine, equal, gatherRows, hostNormal, initializeParameters, matmul, multiply, randomKey, reshape, subtract, sum, XMoEError,
  type Engine, type Tensor,
} from '@xmoe/core';
import type { JsonObject } from '@xmoe/files';
import { applyExperts, createMoeFeedForward, denseFlops, planDispatch, type DispatchPlan, type ExpertWeights } from '@xmoe/moe';
import { createDenseFeedForward } from '@xmoe/nn';
import { gate } from '@xmoe/routers';
import { createRouter } from '@xmoe/routers/by-name';

export interface LayerShape {
  readonly tokens: number;
  readonly width: number;
  /** Of the dense layer. */
  readonly hidden: number;
}

/** One layer at one capacity. */
export interface LayerTime {
  /** `dense`, or how many times smaller than the dense layer an expert is. */
  readonly finer: number | 'dense';
  /** γ · s over the dense layer's hidden size: the room of the experts. */
  readonly share: number;
  /** Of the room: padded experts compute it where it is not empty. */
  readonly flops: number;
  /** Shortest milliseconds by indices. */
  readonly indices: number;
  /** The same by masks; null for the dense layer. */
  readonly masks: number | null;
}

export const FINER = [1, 2, 4, 8] as const;
export const SHARES = [0.25, 0.5, 0.75, 1] as const;
const EXPERTS = 8;
const ROUNDS = 11;
const NAME = 'moe';
const THRESHOLD = 0.9;
/** Logits of this standard deviation: experts differ as in training. */
const GATE_STD = 2;
/** Both sides multiply the same numbers in other orders. */
const TOLERANCE = 1e-4;

/** A layer that can be run; `masks` is null where there is nothing to dispatch. */
interface Contestant {
  readonly finer: number | 'dense';
  readonly share: number;
  indices(): Tensor;
  readonly masks: (() => Tensor) | null;
}

/** Times all of them, in turns: {@link LayerTime} each, and what they were measured on. */
export async function measureLayerTimes(backendName: string, shape: LayerShape): Promise<JsonObject> {
  const { backend, reason } = await openBackend(backendName);
  const engine = createEngine(backend);
  try {
    const contestants = contestantsOf(engine, shape);
    for (const one of contestants) await checkEqual(engine, one);
    const times = await timeInTurns(engine, contestants.flatMap(({ indices, masks }) => (masks ? [indices, masks] : [indices])));
    let next = 0;
    const layers = contestants.map(({ finer, share, masks }): JsonObject => ({
      finer, share, flops: share * denseFlops(shape), indices: times[next++]!, masks: masks ? times[next++]! : null,
    }));
    return { backend: backend.name, reason, rounds: ROUNDS, shape: { ...shape }, layers };
  } finally {
    engine.dispose();
  }
}

function contestantsOf(engine: Engine, { tokens, width, hidden }: LayerShape): Contestant[] {
  const x = engine.tensor(hostNormal(randomKey(1), tokens * width), [tokens, width]).keep();
  const [initStd, outputStd] = [width ** -0.5, hidden ** -0.5];
  const dense = createDenseFeedForward({ name: NAME, width, hidden, activation: 'gelu-tanh', std: initStd, outputStd });
  const denseParameters = initializeParameters(engine, dense.parameters, randomKey(2));
  const plain = { training: false, key: null, computeDType: 'float32', tokenIds: null, mask: null, collect: 'nothing' } as const;
  const sparse = FINER.flatMap((finer) => {
    const facts = { experts: EXPERTS * finer, hidden: hidden / finer, router: { type: 'threshold', threshold: THRESHOLD } } as const;
    const specs = createMoeFeedForward({ name: NAME, width, ...facts, initStd, outputStd: (hidden / finer) ** -0.5 }).parameters;
    const parameters = initializeParameters(engine, specs.map((spec) => (spec.name.endsWith('.router.weight') ? { ...spec, init: { kind: 'normal', std: GATE_STD * initStd } } : spec)), randomKey(3));
    return SHARES.map((share): Contestant => {
      const run = (experts: typeof applyByIndices) => (): Tensor => engine.scope(() => {
        const { weights, plan } = routed(engine, x, parameters[`${NAME}.router.weight`]!, facts.experts, share * finer);
        return experts(x, weights, plan, expertWeights(parameters));
      });
      return { finer, share, indices: run(applyByIndices), masks: run(applyByMasks) };
    });
  });
  return [{ finer: 'dense', share: 1, indices: () => engine.scope(() => dense.apply(denseParameters, x, plain).output), masks: null }, ...sparse];
}

/** Gate, router and plan: on both sides, and inside the clock. */
function routed(engine: Engine, x: Tensor, weight: Tensor, experts: number, capacityFactor: number): { weights: Tensor; plan: DispatchPlan } {
  const [tokens] = x.shape as [number, number];
  const router = createRouter({ type: 'threshold', threshold: THRESHOLD });
  const routing = router.route({ engine, logits: gate(x, weight), tokens, experts, training: false, losses: { balance: false, z: false } });
  return { weights: routing.weights, plan: planDispatch(routing, { dispatch: 'padded', capacityFactor }) };
}

function expertWeights(parameters: Readonly<Record<string, Tensor>>): ExpertWeights {
  const [w1, b1, w2, b2] = ['w1', 'b1', 'w2', 'b2'].map((key) => parameters[`${NAME}.experts.${key}`]!) as [Tensor, Tensor, Tensor, Tensor];
  return { w1, b1, w2, b2 };
}

const applyByIndices = (x: Tensor, weights: Tensor, plan: DispatchPlan, experts: ExpertWeights): Tensor => applyExperts(x, weights, plan, experts, 'gelu-tanh').output;

/** The same sums, by products with masks [N·C, T] on both sides of the experts, which compute every slot, empty or not. */
function applyByMasks(x: Tensor, weights: Tensor, { experts: N, capacity, rows, rowToken, rowClaim, offsets }: DispatchPlan, { w1, b1, w2, b2 }: ExpertWeights): Tensor {
  const { engine } = x;
  const mask = cast(equal(reshape(rowToken, [rows, 1]), engine.iota(x.shape[0]!)), 'float32'); // [R, T]
  const inputs = reshape(matmul(mask, x), [N, capacity, x.shape[1]!]);
  const hidden = biasActivation(reshape(matmul(inputs, w1), [rows, w1.shape[2]!]), b1, 'gelu-tanh', offsets);
  const outputs = biasActivation(reshape(matmul(reshape(hidden, [N, capacity, w1.shape[2]!]), w2), [rows, w2.shape[2]!]), b2, 'none', offsets);
  const weighted = multiply(mask, gatherRows(reshape(weights, [weights.size, 1]), rowClaim)); // [R, T]
  return matmul(weighted, outputs, { transposeA: true });
}

/** @throws XMoEError `value` when both sides are not one layer: times of other work say nothing */
async function checkEqual(engine: Engine, { finer, share, indices, masks }: Contestant): Promise<void> {
  if (!masks) return;
  const error = engine.scope(() => {
    const [left, right] = [indices(), masks()];
    const difference = subtract(left, right);
    return [sum(multiply(difference, difference)), sum(multiply(left, left))];
  });
  const [wrong, all] = await Promise.all(error.map(async (one) => (await one.data())[0]!));
  for (const one of error) one.dispose();
  if (Math.sqrt(wrong! / all!) < TOLERANCE) return;
  throw new XMoEError('value', `experts ${finer}× finer at ${share} of the FLOPs: dispatch by indices and by masks differ by ${Math.sqrt(wrong! / all!)} of the output`, {
    op: 'figure8', hint: 'this is a fault of the backend: report it with the output of doctor',
  });
}

/** Shortest milliseconds of each; the order rotates from round to round, so that a slow moment hits all. */
async function timeInTurns(engine: Engine, passes: readonly (() => Tensor)[]): Promise<number[]> {
  const shortest = passes.map(() => Infinity);
  for (let round = 0; round < ROUNDS; round++) {
    for (let turn = 0; turn < passes.length; turn++) {
      const index = (round + turn) % passes.length;
      const started = performance.now();
      const output = engine.noGrad(passes[index]!);
      await output.data();
      shortest[index] = Math.min(shortest[index]!, performance.now() - started);
      output.dispose();
    }
  }
  return shortest;
}

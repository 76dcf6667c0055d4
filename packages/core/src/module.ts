// The conventions that layers share, so that any feed-forward fits any Transformer: parameters by name, a forward
// context, and initialisation on the host. Layers themselves live in @xmoe/nn and @xmoe/moe.
import type { FloatDType } from './dtype.js';
import type { Engine } from './engine.js';
import { drawsOnDevice, normalOnDevice } from './device-initialization.js';
import { XMoEError } from './errors.js';
import { add } from './ops/elementwise.js';
import { broadcastTo, reshape, slice } from './ops/movement.js';
import { foldIn, hostNormal, type RandomKey } from './random.js';
import { sizeOf, type Shape } from './shape.js';
import type { Tensor } from './tensor.js';

/** How a parameter starts. `copies`: one normal draw for index 0 of the first axis, repeated for the others. */
export type Initializer =
  | { readonly kind: 'normal'; readonly std: number }
  | { readonly kind: 'copies'; readonly std: number }
  | { readonly kind: 'zeros' }
  | { readonly kind: 'ones' }
  | { readonly kind: 'constant'; readonly value: number };

export interface ParameterSpec {
  /** Unique in the model; follows GPT-2 where there is an equivalent, e.g. `h.0.attn.c_attn.weight`. */
  readonly name: string;
  readonly shape: Shape;
  readonly init: Initializer;
  /** Whether weight decay applies (not to biases, norms and other 1-D parameters). */
  readonly decay: boolean;
  /** false: no gradient trains it and an optimiser keeps nothing for it. It changes by a {@link LayerState}. Absent: trained. */
  readonly trained?: false;
  /** These are `shape[0]` of the `of` entries of the first axis, from `begin`: the others are on other ranks. Absent: all of them. */
  readonly part?: { readonly begin: number; readonly of: number };
}

/** Float32 master weights by name. */
export type Parameters = { readonly [name: string]: Tensor };

/** What a forward pass needs beside inputs and parameters. */
export interface ForwardContext {
  readonly training: boolean;
  /** Key of this step for dropout and noise, uint32 [2] on the device; null switches them off. */
  readonly key: Tensor | null;
  /** dtype of activations and matmul inputs. */
  readonly computeDType: FloatDType;
  /** Token ids of the rows, int32 [rows]: the hash router needs them. */
  readonly tokenIds: Tensor | null;
  /** bool [rows]: false for padding, which is never routed nor counted. */
  readonly mask: Tensor | null;
  /** How much of the routing a layer reports: nothing, sums per layer, or also every token's choices. */
  readonly collect: 'nothing' | 'statistics' | 'tokens';
  /** Rows of one sequence, where the rows are sequences one after another. Absent: they are one. */
  readonly sequenceLength?: number;
  /**
   * Where experts are spread over ranks: takes the gradient of a parameter of this rank's experts that the micro-batch of rank `source` gives, in
   * the order of the ranks, within the backward pass. Absent: nobody wants them.
   */
  readonly takeGradient?: (name: string, source: number, gradient: Tensor) => void;
}

export interface FeedForwardResult<Trace> {
  /** [rows, d], in the dtype of the input. */
  readonly output: Tensor;
  /** Scaled auxiliary loss, float32 [], or null. */
  readonly auxLoss: Tensor | null;
  /** What routing did; null for layers without routing, or when nothing is collected. */
  readonly trace: Trace | null;
  /** In training: what the layer's states move by, tensors by name that are added over the micro-batches of an update. Absent: nothing. */
  readonly sums?: Parameters | null;
}

/**
 * What of a layer is neither trained nor constant, e.g. a controlled threshold: tensors among the parameters, which are saved with them
 * and change once per update. Layers may share one; it then has the same names in each, and moves by the sums over all of them.
 */
export interface LayerState {
  /** Specs with `trained: false`; those of the layer contain them. */
  readonly parameters: readonly ParameterSpec[];
  /** The tensors after an update, by name, from the sums over all its micro-batches. On the device alone, without a gradient. */
  next(parameters: Parameters, sums: Parameters): Parameters;
}

/** A position-wise layer: dense or mixture of experts. x [rows, d]. */
export interface FeedForward<Trace = unknown> {
  readonly parameters: readonly ParameterSpec[];
  /** Absent: the layer has none. */
  readonly states?: readonly LayerState[];
  apply(parameters: Parameters, x: Tensor, context: ForwardContext): FeedForwardResult<Trace>;
}

/** Whether an optimiser trains it. */
export const isTrained = ({ trained }: ParameterSpec): boolean => trained !== false;

/** The specs of layers that may share states: each name once. */
export function withoutRepeatedStates(specs: readonly ParameterSpec[]): ParameterSpec[] {
  const known = new Set<string>();
  return specs.filter((spec) => isTrained(spec) || (!known.has(spec.name) && known.add(spec.name)));
}

/** States of layers, each once. */
export function statesOf(layers: readonly { readonly states?: readonly LayerState[] }[]): LayerState[] {
  const byName = new Map(layers.flatMap(({ states = [] }) => states.map((state) => [state.parameters.map(({ name }) => name).join(), state] as const)));
  return [...byName.values()];
}

/** Two sets of sums as one, those of the same name added. */
export function addSums(a: Parameters | null | undefined, b: Parameters | null | undefined): Parameters | null {
  if (!a || !b) return a ?? b ?? null;
  const out: Record<string, Tensor> = { ...a };
  for (const [name, sum] of Object.entries(b)) out[name] = out[name] ? add(out[name], sum) : sum;
  return out;
}

/** A parameter by name; an error that names it when it is missing. */
export function parameter(parameters: Parameters, name: string): Tensor {
  if (Object.hasOwn(parameters, name)) return parameters[name]!;
  throw new XMoEError('value', `there is no parameter ${name}`, { hint: 'the parameters were made for another configuration' });
}

/** The spec of the whole tensor that a part is of. */
export function wholeOf({ part, ...spec }: ParameterSpec): ParameterSpec {
  return part ? { ...spec, shape: [part.of, ...spec.shape.slice(1)] } : spec;
}

/** The initial values of one parameter, on the host. They depend on the key and the name only: not on order, backend or dtype. */
export function initialValues(spec: ParameterSpec, key: RandomKey): Float32Array {
  const size = sizeOf(spec.shape);
  const { init } = spec;
  if (init.kind === 'zeros') return new Float32Array(size);
  if (init.kind === 'ones') return new Float32Array(size).fill(1);
  if (init.kind === 'constant') return new Float32Array(size).fill(init.value);
  const drawn = init.kind === 'copies' ? size / Math.max(1, spec.shape[0]!) : size;
  const values = hostNormal(foldIn(key, spec.name), drawn).map((value) => value * init.std);
  if (init.kind === 'normal') return values;
  const out = new Float32Array(size);
  for (let start = 0; start < size; start += drawn) out.set(values, start);
  return out;
}

/** The same on the engine; large ones on a GPU are drawn there, and agree to about 1e-6 of their standard deviation. */
function initialTensor(engine: Engine, spec: ParameterSpec, key: RandomKey): Tensor {
  const { name, shape, init } = spec;
  if (init.kind === 'zeros') return engine.zeros(shape);
  if (init.kind === 'ones') return engine.ones(shape);
  if (init.kind === 'constant') return engine.full(shape, init.value);
  const drawn = sizeOf(init.kind === 'copies' ? shape.slice(1) : shape);
  if (!drawsOnDevice(engine, drawn)) return engine.tensor(initialValues(spec, key), shape);
  return engine.scope(() => {
    const values = normalOnDevice(engine, foldIn(key, name), drawn, init.std);
    return init.kind === 'copies' ? broadcastTo(reshape(values, [1, ...shape.slice(1)]), shape) : reshape(values, shape);
  });
}

/** A part of a tensor begins as it does in the whole. */
function initialPart(engine: Engine, spec: ParameterSpec, key: RandomKey): Tensor {
  const { part, shape } = spec;
  if (!part) return initialTensor(engine, spec, key);
  return engine.scope(() => slice(initialTensor(engine, wholeOf(spec), key), [part.begin, ...shape.slice(1).map(() => 0)], [...shape]));
}

/** Makes all parameters of `specs` on the engine. They live until disposed. */
export function initializeParameters(engine: Engine, specs: readonly ParameterSpec[], key: RandomKey): Record<string, Tensor> {
  const out: Record<string, Tensor> = {};
  for (const spec of specs) {
    if (Object.hasOwn(out, spec.name)) throw new XMoEError('value', `two parameters are named ${spec.name}`, { hint: 'give layers distinct names' });
    out[spec.name] = initialPart(engine, spec, key).keep();
  }
  return out;
}

/** Number of scalar parameters that are trained. */
export function countParameters(specs: readonly ParameterSpec[]): number {
  return specs.filter(isTrained).reduce((sum, spec) => sum + sizeOf(spec.shape), 0);
}

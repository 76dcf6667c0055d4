// A stack of Transformer layers with one scope each, optional activation checkpointing, and summed auxiliary losses; and the same
// over the next positions alone.
import { add, addSums, checkpoint, type ForwardContext, type Parameters, type Tensor } from '@xmoe/core';
import type { KeyValues } from '../layers/attention.js';
import type { LayerResult, LayerStepInput, TransformerLayer, TransformerLayerInput } from '../layers/transformer-layer.js';

export interface LayerTrace<Trace> {
  /** Name of the layer, e.g. `h.1`. */
  layer: string;
  trace: Trace;
}

export interface StackResult<Trace> {
  /** [B·T, d] */
  x: Tensor;
  /** Σ of the layers' auxiliary losses, or null when no layer has one. */
  auxLoss: Tensor | null;
  traces: LayerTrace<Trace>[];
  /** What the layers' states move by, those of one name added; null where nothing does. */
  sums: Parameters | null;
}

/** Runs the layers in order. With `checkpointing`, each keeps only its input and runs again in the backward pass. */
export function applyStack<Trace>(
  layers: readonly TransformerLayer<Trace>[],
  parameters: Parameters,
  input: TransformerLayerInput,
  context: ForwardContext,
  options: { checkpointing: boolean },
): StackResult<Trace> {
  let { x } = input;
  const inside: ForwardContext = { ...context, sequenceLength: input.shape.length };
  let auxLoss: Tensor | null = null;
  const traces: LayerTrace<Trace>[] = [];
  let sums: Parameters | null = null;
  for (const layer of layers) {
    const run = (given: TransformerLayerInput): LayerResult<Trace> => layer.apply(parameters, given, inside);
    const here = { ...input, x };
    const result = options.checkpointing && context.training ? checkpointed(run, here) : here.x.engine.scope(() => run(here));
    if (x !== input.x) x.dispose(); // made by the layer before; the tape holds its own references
    x = result.x;
    if (result.auxLoss) auxLoss = auxLoss ? add(auxLoss, result.auxLoss) : result.auxLoss;
    sums = addSums(sums, result.sums);
    if (result.trace !== null) traces.push({ layer: layer.name, trace: result.trace });
  }
  return { x, auxLoss, traces, sums };
}

/**
 * Runs the layers over the next positions of sequences, each in a scope: their states, and by layer what the positions after them
 * need. Takes `x` [R·T, d] over. `inputOf` says what layer `index` (0-based) sees beside it.
 */
export function extendStack<Trace>(
  layers: readonly TransformerLayer<Trace>[],
  parameters: Parameters,
  x: Tensor,
  inputOf: (index: number) => Omit<LayerStepInput, 'x'>,
  context: ForwardContext,
): { x: Tensor; past: KeyValues[] } {
  let states = x;
  const past = layers.map((layer, index) => {
    const result = states.engine.scope(() => layer.step(parameters, { ...inputOf(index), x: states }, context));
    states.dispose();
    states = result.x;
    return result.keyValues;
  });
  return { x: states, past };
}

/** Names every tensor of the input to `checkpoint`: one that was made in the forward pass is gone when it runs again. */
function checkpointed<R>(run: (input: TransformerLayerInput) => R, input: TransformerLayerInput): R {
  const { x, keyMask, memory } = input;
  const own = [x, keyMask, memory?.x ?? null, memory?.mask ?? null].filter((tensor) => tensor !== null);
  return checkpoint(
    x.engine,
    (...tensors) => {
      const again = new Map(own.map((tensor, index) => [tensor, tensors[index]!]));
      const of = (tensor: Tensor | null): Tensor | null => tensor && again.get(tensor)!;
      return run({ ...input, x: of(x)!, keyMask: of(keyMask), ...(memory ? { memory: { ...memory, x: of(memory.x)!, mask: of(memory.mask) } } : {}) });
    },
    own,
  );
}

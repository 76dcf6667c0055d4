// A stack of Transformer layers with one scope each, optional activation checkpointing, and summed auxiliary losses.
import { add, checkpoint, type Engine, type ForwardContext, type Parameters, type Tensor } from '@xmoe/core';
import type { TransformerLayer, TransformerLayerInput } from '../layers/transformer-layer.js';

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
}

/** Runs the layers in order. With `checkpointing`, each keeps only its input and runs again in the backward pass. */
export function applyStack<Trace>(
  engine: Engine,
  layers: readonly TransformerLayer<Trace>[],
  parameters: Parameters,
  input: TransformerLayerInput,
  context: ForwardContext,
  options: { checkpointing: boolean },
): StackResult<Trace> {
  let { x } = input;
  let auxLoss: Tensor | null = null;
  const traces: LayerTrace<Trace>[] = [];
  for (const layer of layers) {
    const run = (h: Tensor) => layer.apply(parameters, { ...input, x: h }, context);
    const result = options.checkpointing && context.training ? checkpoint(engine, run, [x]) : engine.scope(() => run(x));
    x = result.x;
    if (result.auxLoss) auxLoss = auxLoss ? add(auxLoss, result.auxLoss) : result.auxLoss;
    if (result.trace !== null) traces.push({ layer: layer.name, trace: result.trace });
  }
  return { x, auxLoss, traces };
}

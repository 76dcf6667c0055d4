// Hidden units of dense layers that are active together, so that they become one expert (as MoEfication, Zhang et al. 2022): what a text
// activates, and groups of equal size from it. Greedy and the same every time; not an optimal partition.
import { collectTensors, type Engine, type FeedForward, type Parameters, type Tensor } from '@xmoe/core';
import { createLanguageModel, linear } from '@xmoe/nn';
import type { LanguageConfig } from '../language/language-config.js';

/** By layer (`h.0`): activations of its hidden units, float32 [T, D] row-major. */
export type HiddenActivations = ReadonlyMap<string, Float32Array>;

/**
 * What the hidden units of a dense language model are for `tokens`, cut into windows of its context; a rest that fills none is left out.
 * `parameters`: those of the model, on `engine`.
 */
export async function hiddenActivations(engine: Engine, model: LanguageConfig['model'], parameters: Parameters, tokens: Int32Array): Promise<HiddenActivations> {
  const feedForward = (name: string): FeedForward<Tensor> => ({
    parameters: [],
    apply(weights, x) {
      const hidden = linear(weights, `${name}.mlp.c_fc`, x, model.activation);
      return { output: linear(weights, `${name}.mlp.c_proj`, hidden), auxLoss: null, trace: hidden };
    },
  });
  const reader = createLanguageModel<Tensor>({ ...model, vocabularySize: parameters['wte.weight']!.shape[0]!, feedForward: ({ name }) => feedForward(name) });
  const length = Math.min(model.contextLength, tokens.length);
  const windows = Math.floor(tokens.length / length);
  const all = new Map<string, Float32Array>();
  for (let window = 0; window < windows; window++) {
    const context = { training: false, key: null, computeDType: 'float32', tokenIds: null, mask: null, collect: 'nothing' } as const;
    const ids = tokens.slice(window * length, (window + 1) * length);
    const traces = engine.scope(() => reader.hidden(parameters, engine.tensor(ids), { batch: 1, length }, context).traces);
    for (const { layer, trace } of traces) {
      const rows = all.get(layer) ?? new Float32Array(windows * length * model.hidden);
      rows.set(await trace.data() as Float32Array, window * length * model.hidden);
      all.set(layer, rows);
    }
    for (const tensor of collectTensors(traces)) tensor.dispose();
  }
  return all;
}

/**
 * The order of `units` hidden units in which each `units / experts` in a row are active together. By turns, the unit that is active most of
 * those left begins a group, and those nearest to it (cosine of what is above 0) complete it.
 * @param activations float32 [T, units]
 */
export function coActivationOrder(activations: Float32Array, { units, experts }: { units: number; experts: number }): Int32Array {
  const profiles = profilesOf(activations, units);
  const norms = profiles.map((profile) => Math.sqrt(profile.reduce((sum, value) => sum + value * value, 0)));
  const left = new Set(profiles.keys());
  const order: number[] = [];
  for (let expert = 0; expert < experts; expert++) {
    const candidates = [...left];
    const seed = candidates.reduce((best, unit) => (norms[unit]! > norms[best]! ? unit : best), candidates[0]!);
    const near = candidates.map((unit) => [unit, unit === seed ? Infinity : cosine(profiles[seed]!, profiles[unit]!, norms[seed]! * norms[unit]!)] as const);
    const group = near.toSorted((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, units / experts).map(([unit]) => unit);
    for (const unit of group) left.delete(unit);
    order.push(...group);
  }
  return Int32Array.from(order);
}

/** By unit, what of it is above 0 at each token. */
function profilesOf(activations: Float32Array, units: number): Float32Array[] {
  const tokens = activations.length / units;
  return Array.from({ length: units }, (_, unit) => Float32Array.from({ length: tokens }, (_none, token) => Math.max(0, activations[token * units + unit]!)));
}

function cosine(a: Float32Array, b: Float32Array, norms: number): number {
  let sum = 0;
  for (let at = 0; at < a.length; at++) sum += a[at]! * b[at]!;
  return norms === 0 ? 0 : sum / norms;
}

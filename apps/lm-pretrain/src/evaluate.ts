// Perplexity of a split over non-overlapping windows, with what routing did meanwhile.
import { collectTensors, type Engine, type FloatDType, type ForwardContext, type Parameters, sum, type Tensor } from '@xmoe/core';
import { bitsPerByte, evaluationWindows, mergeRouting, type LayerRouting, type TokenSplit } from '@xmoe/train';
import type { RoutingTrace } from '@xmoe/moe';
import type { XMoELanguageModel } from './model.js';

export interface EvaluationResult {
  /** Mean nats per token, and exp of it. */
  loss: number;
  perplexity: number;
  /** Independent of the tokenizer. Exact only over the whole split; NaN for a part of it. */
  bitsPerByte: number;
  tokens: number;
  /** By layer with experts. */
  routing: { layer: string; summary: LayerRouting }[];
}

export interface EvaluateOptions {
  engine: Engine;
  model: XMoELanguageModel;
  parameters: Parameters;
  split: TokenSplit;
  batchSize: number;
  computeDType: FloatDType;
  summarizeTrace(trace: RoutingTrace): Promise<LayerRouting>;
  /** Stop after so many windows. */
  maxWindows?: number;
  /** Asked between batches; true stops with what there is. */
  stopped?: () => boolean;
}

/** Scores `split`. A routing group is one batch of windows, as in training. */
export async function evaluate(options: EvaluateOptions): Promise<EvaluationResult> {
  const { engine, model, parameters, split, batchSize } = options;
  const length = model.config.contextLength;
  let loss = 0;
  let tokens = 0;
  const routing = new Map<string, LayerRouting[]>();
  const windows = options.maxWindows === undefined ? {} : { maxWindows: options.maxWindows };
  for (const batch of evaluationWindows(split, length, { batchSize, ...windows })) {
    const { total, traces } = engine.scope(() => {
      const inputs = engine.tensor(batch.inputs);
      const targets = engine.tensor(batch.targets);
      const mask = engine.tensor(Uint8Array.from(batch.targets, (target) => (target >= 0 ? 1 : 0)), [targets.size], 'bool');
      const context: ForwardContext = { training: false, key: null, computeDType: options.computeDType, tokenIds: null, mask, collect: 'statistics' };
      const scored = model.tokenLosses(parameters, { shape: { batch: batchSize, length }, inputs, targets }, context);
      return { total: sum(scored.losses), traces: scored.traces };
    });
    loss += await readOnce(total);
    tokens += batch.targetCount;
    for (const { layer, trace } of traces) routing.set(layer, [...(routing.get(layer) ?? []), await options.summarizeTrace(trace)]);
    for (const tensor of collectTensors(traces)) tensor.dispose();
    if (options.stopped?.()) break;
  }
  const whole = tokens === split.length - 1;
  return {
    loss: loss / tokens,
    perplexity: Math.exp(loss / tokens),
    bitsPerByte: whole ? bitsPerByte(loss, split.bytes) : Number.NaN,
    tokens,
    routing: [...routing].map(([layer, all]) => ({ layer, summary: mergeRouting(all) })),
  };
}

async function readOnce(tensor: Tensor): Promise<number> {
  const value = await tensor.item();
  tensor.dispose();
  return value;
}

// Perplexity of a split over non-overlapping windows, with what routing did meanwhile.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { collectTensors, foldIn, type Engine, type FloatDType, type ForwardContext, type Parameters, randomKey, sum, type Tensor } from '@xmoe/core';
import type { XMoELanguageModel } from '@xmoe/models';
import { checkIds } from '@xmoe/nn';
import { bitsPerByte, evaluationWindows, type Tokenizer, type TokenSplit } from '@xmoe/text';
import { mergeRouting, type LayerRouting } from '@xmoe/train';
import type { RoutingTrace } from '@xmoe/moe';

export interface EvaluationResult {
  /** Mean nats per token, and exp of it. */
  loss: number;
  perplexity: number;
  /** Independent of the tokenizer. */
  bitsPerByte: number;
  /** Scored, and the UTF-8 bytes of text that they stand for. */
  tokens: number;
  bytes: number;
  /** By layer with experts. */
  routing: { layer: string; summary: LayerRouting }[];
}

export interface EvaluateOptions {
  engine: Engine;
  model: XMoELanguageModel;
  parameters: Parameters;
  split: TokenSplit;
  tokenizer: Tokenizer;
  batchSize: number;
  computeDType: FloatDType;
  summarizeTrace(trace: RoutingTrace): Promise<LayerRouting>;
  /** Stop after so many windows. */
  maxWindows?: number;
  /** Told between batches which share of the windows is done. */
  onProgress?: (share: number) => void;
  /** Asked between batches; true ends it with what there is. */
  stopped?: () => boolean;
}

/** The same noise whenever something is scored. */
const NOISE_KEY = randomKey(0);

/** Scores `split`. A routing group is one batch of windows, as in training. */
export async function evaluate(options: EvaluateOptions): Promise<EvaluationResult> {
  const { engine, model, parameters, split, batchSize } = options;
  const length = model.config.contextLength;
  const windows = Math.min(Math.ceil((split.length - 1) / length), options.maxWindows ?? Infinity);
  const byteLength = byteLengths(options.tokenizer);
  let [loss, tokens, bytes, done] = [0, 0, 0, 0];
  const routing = new Map<string, LayerRouting[]>();
  for (const batch of evaluationWindows(split, length, { batchSize, maxWindows: windows })) {
    await nextTurn(); // lets signals in: a backend on the CPU never waits by itself
    if (options.stopped?.()) break;
    checkIds('inputs', batch.inputs, model.config.vocabularySize);
    checkIds('targets', batch.targets, model.config.vocabularySize, { none: true });
    const { total, traces } = engine.scope(() => {
      const inputs = engine.tensor(batch.inputs);
      const targets = engine.tensor(batch.targets);
      const mask = engine.tensor(Uint8Array.from(batch.targets, (target) => (target >= 0 ? 1 : 0)), [targets.size], 'bool');
      const key = engine.key(foldIn(NOISE_KEY, done)); // for routers that are asked to draw noise here too: nothing else is random without training
      const context: ForwardContext = { training: false, key, computeDType: options.computeDType, tokenIds: null, mask, collect: 'statistics' };
      const scored = model.tokenLosses(parameters, { shape: { batch: batchSize, length }, inputs, targets }, context);
      return { total: sum(scored.losses), traces: scored.traces };
    });
    loss += await readOnce(total);
    tokens += batch.targetCount;
    for (const target of batch.targets) if (target >= 0) bytes += byteLength[target]!;
    for (const { layer, trace } of traces) routing.set(layer, [...(routing.get(layer) ?? []), await options.summarizeTrace(trace)]);
    for (const tensor of collectTensors(traces)) tensor.dispose();
    options.onProgress?.((done += batch.windows) / windows);
  }
  return {
    loss: loss / tokens,
    perplexity: Math.exp(loss / tokens),
    bitsPerByte: bitsPerByte(loss, bytes),
    tokens,
    bytes,
    routing: [...routing].map(([layer, all]) => ({ layer, summary: mergeRouting(all) })),
  };
}

/** UTF-8 bytes of text that each token stands for: none for the special ones. */
function byteLengths(tokenizer: Tokenizer): Int32Array {
  const special = new Set(tokenizer.specialTokens.values());
  return Int32Array.from({ length: tokenizer.vocabularySize }, (_, token) => (special.has(token) ? 0 : tokenizer.tokenBytes(token).length));
}

async function readOnce(tensor: Tensor): Promise<number> {
  const value = await tensor.item();
  tensor.dispose();
  return value;
}

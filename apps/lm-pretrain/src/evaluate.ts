// Perplexity of a split over non-overlapping windows, with what routing did meanwhile.
import { collectTensors, type Engine, type FloatDType, type ForwardContext, type Parameters, sum, type Tensor } from '@xmoe/core';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { bitsPerByte, evaluationWindows, type LayerRouting, type Tokenizer, type TokenSplit } from '@xmoe/train';
import type { RoutingTrace } from '@xmoe/moe';
import type { XMoELanguageModel } from './model.js';

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

/** Scores `split`. A routing group is one batch of windows, as in training. */
export async function evaluate(options: EvaluateOptions): Promise<EvaluationResult> {
  const { engine, model, parameters, split, batchSize } = options;
  const length = model.config.contextLength;
  const all = Math.ceil((split.length - 1) / length);
  const windows = Math.min(all, options.maxWindows ?? all);
  const byteLength = byteLengths(options.tokenizer);
  let [loss, tokens, bytes, done] = [0, 0, 0, 0];
  const routing = createRoutingMean();
  for (const batch of evaluationWindows(split, length, { batchSize, maxWindows: windows })) {
    await nextTurn(); // lets signals in: a backend on the CPU never waits by itself
    if (options.stopped?.()) break;
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
    for (const target of batch.targets) if (target >= 0) bytes += byteLength[target]!;
    for (const { layer, trace } of traces) routing.add(layer, await options.summarizeTrace(trace), batch.targetCount);
    for (const tensor of collectTensors(traces)) tensor.dispose();
    options.onProgress?.((done += batch.windows) / windows);
  }
  return { loss: loss / tokens, perplexity: Math.exp(loss / tokens), bitsPerByte: bitsPerByte(loss, bytes), tokens, bytes, routing: routing.all() };
}

/** UTF-8 bytes of text that each token stands for: none for the special ones. */
function byteLengths(tokenizer: Tokenizer): Int32Array {
  const special = new Set(tokenizer.specialTokens.values());
  return Int32Array.from({ length: tokenizer.vocabularySize }, (_, token) => (special.has(token) ? 0 : tokenizer.tokenBytes(token).length));
}

/** The mean over tokens of each layer's routing; the last batch may hold fewer than the others. */
function createRoutingMean() {
  const sums = new Map<string, { tokens: number; wanted: number; kept: number; load: number[]; budgetedFlops: number; executedFlops: number }>();
  return {
    add(layer: string, routing: LayerRouting, tokens: number): void {
      const sum = sums.get(layer) ?? { tokens: 0, wanted: 0, kept: 0, load: routing.load.map(() => 0), budgetedFlops: 0, executedFlops: 0 };
      const kept = routing.keptPerToken * tokens;
      sum.tokens += tokens;
      sum.wanted += routing.expertsPerToken * tokens;
      sum.kept += kept;
      routing.load.forEach((share, expert) => (sum.load[expert]! += share * kept));
      sum.budgetedFlops += routing.budgetedFlops;
      sum.executedFlops += routing.executedFlops;
      sums.set(layer, sum);
    },
    all: (): EvaluationResult['routing'] =>
      [...sums].map(([layer, { tokens, wanted, kept, load, budgetedFlops, executedFlops }]) => ({
        layer,
        summary: {
          expertsPerToken: wanted / tokens, keptPerToken: kept / tokens, dropRate: wanted > 0 ? 1 - kept / wanted : 0,
          load: load.map((claims) => (kept > 0 ? claims / kept : 0)), budgetedFlops, executedFlops,
        },
      })),
  };
}

async function readOnce(tensor: Tensor): Promise<number> {
  const value = await tensor.item();
  tensor.dispose();
  return value;
}

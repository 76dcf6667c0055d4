// Perplexity of a split over non-overlapping windows, with what routing did meanwhile.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { collectTensors, foldIn, type Engine, type FloatDType, type ForwardContext, type Parameters, randomKey, sum, type Tensor } from '@xmoe/core';
import { oneGroup, shareOut, SoloComm, type RankGroups } from '@xmoe/distributed';
import type { XMoELanguageModel } from '@xmoe/models';
import { checkIds } from '@xmoe/nn';
import { bitsPerByte, evaluationWindows, type EvaluationBatch, type Tokenizer, type TokenSplit } from '@xmoe/text';
import { mergeByLayer, type LayerRouting } from '@xmoe/train';
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
  /** Asked between batches; true ends it with what there is. Of several ranks, they all say the same. */
  stopped?: () => boolean;
  /** That score together, each some of the batches; all of them call this. Default: this process alone. */
  ranks?: RankGroups;
}

/** The same noise whenever something is scored. */
const NOISE_KEY = randomKey(0);

/** What one batch of windows says. */
interface ScoredBatch {
  /** Nats, summed; as text, which has NaN, and exact. */
  loss: string;
  tokens: number;
  bytes: number;
  routing: { layer: string; summary: LayerRouting }[];
}

/** Scores `split`, on all ranks with the same result. A routing group is one batch of windows, as in training. */
export async function evaluate(options: EvaluateOptions): Promise<EvaluationResult> {
  const { model, split, batchSize, ranks = oneGroup(new SoloComm()), stopped } = options;
  const length = model.config.contextLength;
  const windows = Math.min(Math.ceil((split.length - 1) / length), options.maxWindows ?? Infinity);
  const batches = withShares(evaluationWindows(split, length, { batchSize, maxWindows: windows }), windows);
  const score = createScore(options);
  const all = await shareOut(ranks.world, batches, score, { isTogether: ranks.experts.size > 1, ...(stopped ? { stopped } : {}) });
  const [loss, tokens, bytes] = (['loss', 'tokens', 'bytes'] as const).map((figure) => all.reduce((sum, batch) => sum + Number(batch[figure]), 0)) as [number, number, number];
  return {
    loss: loss / tokens,
    perplexity: Math.exp(loss / tokens),
    bitsPerByte: bitsPerByte(loss, bytes),
    tokens,
    bytes,
    routing: mergeByLayer(all.map((batch) => batch.routing)),
  };
}

/** A batch, with how many windows are done before it, and which share of all after it. */
interface SharedBatch {
  batch: EvaluationBatch;
  before: number;
  after: number;
}

function* withShares(batches: Iterable<EvaluationBatch>, windows: number): Generator<SharedBatch> {
  let done = 0;
  for (const batch of batches) yield { batch, before: done, after: (done += batch.windows) / windows };
}

function createScore({ engine, model, parameters, tokenizer, batchSize, computeDType, summarizeTrace, onProgress }: EvaluateOptions): (item: SharedBatch) => Promise<ScoredBatch> {
  const shape = { batch: batchSize, length: model.config.contextLength };
  const byteLength = byteLengths(tokenizer);
  return async ({ batch, before, after }) => {
    await nextTurn(); // lets signals in: a backend on the CPU never waits by itself
    checkIds('inputs', batch.inputs, model.config.vocabularySize);
    checkIds('targets', batch.targets, model.config.vocabularySize, { none: true });
    const { total, traces } = engine.scope(() => {
      const inputs = engine.tensor(batch.inputs);
      const targets = engine.tensor(batch.targets);
      const mask = engine.tensor(Uint8Array.from(batch.targets, (target) => (target >= 0 ? 1 : 0)), [targets.size], 'bool');
      const key = engine.key(foldIn(NOISE_KEY, before)); // for routers that are asked to draw noise here too: nothing else is random without training
      const context: ForwardContext = { training: false, key, computeDType, tokenIds: null, mask, collect: 'statistics' };
      const scored = model.tokenLosses(parameters, { shape, inputs, targets }, context);
      return { total: sum(scored.losses), traces: scored.traces };
    });
    const loss = String(await readOnce(total));
    const routing: ScoredBatch['routing'] = [];
    for (const { layer, trace } of traces) routing.push({ layer, summary: await summarizeTrace(trace) });
    for (const tensor of collectTensors(traces)) tensor.dispose();
    onProgress?.(after);
    return { loss, tokens: batch.targetCount, bytes: batch.targets.reduce((bytes, target) => bytes + (target >= 0 ? byteLength[target]! : 0), 0), routing };
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

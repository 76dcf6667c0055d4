// Scores a model on pairs of a split: the loss of the references, and BLEU and chrF2++ of its translations. Nothing is dropped
// meanwhile, as when translating.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { collectTensors, type Engine, type FloatDType, type ForwardContext, type Parameters } from '@xmoe/core';
import { oneGroup, shareOut, SoloComm, type RankGroups } from '@xmoe/distributed';
import { type DecodingOptions, type LineTranslator, type ShareBatches, routingReader, translateTexts, uploadBatch, type XMoETranslator } from '@xmoe/models';
import { evaluationBatches, type ParallelBatch, type ParallelDataset, type SplitName } from '@xmoe/text';
import { mergeByLayer, type LayerRouting, type RoutingByLayer } from '@xmoe/train';
import type { Evaluation } from '@xmoe/train/node';
import type { RoutingTrace } from '@xmoe/moe';
import { bleuTokenizerOf, scoreTranslations } from './scores.js';
import type { ScoredRun } from './translation-run.js';

export interface LossOptions {
  engine: Engine;
  /** Of the dropless configuration. */
  model: XMoETranslator;
  parameters: Parameters;
  dataset: ParallelDataset;
  split: SplitName;
  computeDType: FloatDType;
  /** Reads a layer's trace. */
  summarizeTrace(trace: RoutingTrace): Promise<LayerRouting>;
  /** Asked between batches; true ends it with what there is. Of several ranks, they all say the same. */
  stopped?: () => boolean;
  /** That score together, each some of the batches; all of them call this. Default: this process alone. */
  ranks?: RankGroups;
}

export interface LossResult {
  /** Mean nats per target token, without label smoothing. */
  loss: number;
  targets: number;
  routing: RoutingByLayer;
}

const BATCH_TOKENS = 4096;

/** What one batch of pairs says. */
interface ScoredBatch {
  /** Mean nats per target token; as text, which has NaN, and exact. */
  loss: string;
  targets: number;
  routing: { layer: string; summary: LayerRouting }[];
}

/** The loss of every pair of a split, longer ones than training takes as well, on all ranks with the same result. */
export async function referenceLoss(options: LossOptions): Promise<LossResult> {
  const { engine, model, parameters, dataset, computeDType, ranks = oneGroup(new SoloComm()), stopped } = options;
  const split = dataset.split(options.split);
  const context: ForwardContext = { training: false, key: null, computeDType, tokenIds: null, mask: null, collect: 'statistics' };
  const score = async (batch: ParallelBatch): Promise<ScoredBatch> => {
    await nextTurn(); // lets signals in: a backend on the CPU never waits by itself
    const device = uploadBatch(engine, batch, model.config.vocabularySize);
    const { crossEntropy, traces, rest } = engine.scope(() => {
      const { crossEntropy: mean, traces: all, ...others } = model.loss(parameters, device, context);
      return { crossEntropy: mean, traces: all, rest: others };
    });
    const loss = String(await crossEntropy.item());
    const routing: ScoredBatch['routing'] = [];
    for (const { layer, trace } of traces) routing.push({ layer, summary: await options.summarizeTrace(trace) });
    for (const tensor of collectTensors([device, crossEntropy, traces, rest])) tensor.dispose();
    return { loss, targets: batch.targetTokens, routing };
  };
  const batches = evaluationBatches({ split, tokens: dataset.tokens, maxTokens: Math.max(BATCH_TOKENS, longestPair(split)) });
  const all = await shareOut(ranks.world, batches, score, { isTogether: ranks.experts.size > 1, ...(stopped ? { stopped } : {}) });
  const targets = all.reduce((sum, batch) => sum + batch.targets, 0);
  const loss = all.reduce((sum, batch) => sum + Number(batch.loss) * batch.targets, 0);
  return { loss: loss / targets, targets, routing: mergeByLayer(all.map((batch) => batch.routing)) };
}

function longestPair({ sourceLengths, targetLengths }: { sourceLengths: Uint32Array; targetLengths: Uint32Array }): number {
  const longest = (lengths: Uint32Array): number => lengths.reduce((most, length) => Math.max(most, length), 0);
  return Math.max(longest(sourceLengths), longest(targetLengths));
}

export interface TranslatedPairs {
  sources: string[];
  references: string[];
  hypotheses: string[];
}

export interface TranslatePairsOptions extends DecodingOptions {
  lines: LineTranslator;
  dataset: ParallelDataset;
  split: SplitName;
  /** The first so many pairs; null: all. */
  pairs: number | null;
}

/** Translates pairs of a split, from their texts as `translate` would. Null when it was stopped. */
export async function translatePairs({ lines, dataset, split, pairs, ...options }: TranslatePairsOptions): Promise<TranslatedPairs | null> {
  const count = Math.min(pairs ?? Infinity, dataset.split(split).pairs);
  const texts = Array.from({ length: count }, (_, index) => dataset.text(split, index));
  const sources = texts.map(({ source }) => source);
  const hypotheses = await translateTexts(lines, sources, options, (index) => `the ${split} split: pair ${index}`);
  return hypotheses && { sources, references: texts.map(({ target }) => target), hypotheses };
}

/**
 * How ranks share out the batches of a translation: each its own, where each holds all experts. Where experts are spread over them, a position of one
 * is a position of all: they translate the same. `stopped`: asked before each round, on all ranks alike.
 */
export function sharedBy({ world, experts }: RankGroups, stopped?: () => boolean): { share?: ShareBatches } {
  return world.size === 1 || experts.size > 1 ? {} : { share: (batches, work) => shareOut(world, batches, work, stopped ? { stopped } : {}) };
}

/** Scores the parameters as they are on the validation split, with nothing dropped, greedily; called by all ranks. */
export async function scoreValidation({ plan: { config }, ranks, device: { engine }, data: { dataset }, model: { dropless, parameters, lines } }: ScoredRun): Promise<Evaluation> {
  const { train, decoding } = config;
  const { loss } = await referenceLoss({
    engine, model: dropless, parameters, dataset, split: 'validation', computeDType: train.precision, summarizeTrace: routingReader(config, 1), ranks,
  });
  const pairs = await translatePairs({ lines, dataset, split: 'validation', pairs: train.evalPairs, ...decoding, beam: 1, ...sharedBy(ranks) });
  const { bleu, chrf } = scoreTranslations(pairs!.hypotheses, pairs!.references, bleuTokenizerOf(config));
  const metric = { loss, bleu: -bleu.score, chrf: -chrf.score }[train.bestBy];
  return { loss, perplexity: Math.exp(loss), scores: { bleu: bleu.score, chrf: chrf.score }, metric };
}

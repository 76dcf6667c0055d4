// Ways to evaluate a trained run, as data: by which rule experts are chosen, whatever the run was trained with, and with which capacity; and
// the figures that one way gives.
import { XMoEError } from '@xmoe/core';
import { createLanguageModelFromConfig, expertsOverDense, languageLayerHasExperts, routingReader, type LanguageConfig } from '@xmoe/models';
import type { SplitName } from '@xmoe/text';
import type { LayerRouting } from '@xmoe/train';
import { z } from 'zod';
import { evaluate, type EvaluationResult } from './evaluate.js';
import { leakFreeBatchSize } from './finish.js';
import { searchByHalves } from './search-by-halves.js';
import type { TrainedRun } from './session.js';

export const evaluationPointSchema = z.strictObject({
  /** Experts by cumulative probability, whatever the run was trained with. */
  threshold: z.number().min(0).max(1).optional(),
  /** So many experts for each token, whatever the run was trained with. */
  topK: z.int().min(1).optional(),
  /** Experts by cumulative probability, so many per token on average: by the threshold that gives them on validation text. */
  perToken: z.number().min(1).optional(),
  /** `trained`: as in training. Default: grouped, which drops nothing and leaks nothing. */
  dispatch: z.enum(['trained', 'padded', 'grouped', 'budget']).optional(),
  /** γ. Default: as in training. */
  capacityFactor: z.number().positive().optional(),
  /** Ranks 2 … k are drawn with noise here too, for runs that were trained so. */
  noise: z.literal(true).optional(),
  /** Also count hidden units above 0, in dense layers too; slower. */
  positive: z.literal(true).optional(),
}).refine(({ threshold, topK, perToken }) => [threshold, topK, perToken].filter((rule) => rule !== undefined).length <= 1, { error: 'takes a threshold, a number of experts or one on average, not two of them' });

/** An empty one: the rule of training, nothing dropped. */
export type EvaluationPoint = z.output<typeof evaluationPointSchema>;

/** Names of figures, and what they are of the scored tokens. */
export interface PointFigures {
  /** Mean nats per token, and exp of it. */
  loss: number;
  perplexity: number;
  bitsPerByte: number;
  tokens: number;
  /** Experts per token, mean over layers: chosen, and kept by capacity. */
  wantedEvaluation?: number;
  keptEvaluation?: number;
  /** What the experts multiplied, over what dense layers would. */
  executedEvaluation?: number;
  dropEvaluation?: number;
  /** Claims of the busiest expert over the mean, mean over layers. */
  loadEvaluation?: number;
  /** Shares of hidden units above 0: of experts, of experts with the room that nobody took counted as zeros, and of dense layers. */
  positiveExperts?: number;
  positiveFilled?: number;
  positiveDense?: number;
}

/** The configuration evaluated at a point. @throws XMoEError `config` when the run has no experts, or no gate to choose by */
export function configAt(config: LanguageConfig, point: EvaluationPoint): LanguageConfig {
  const { topK, perToken, dispatch = 'grouped', capacityFactor, noise } = point;
  const threshold = point.threshold ?? (perToken === undefined ? undefined : 1); // whose value is found with the run
  const { moe } = config;
  if (!moe) {
    if (threshold === undefined && topK === undefined && capacityFactor === undefined && noise === undefined) return config;
    throw new XMoEError('config', 'the run is dense: it has no threshold, no top-k, no capacity and no noise', { hint: 'leave them out for this run' });
  }
  if ((threshold !== undefined || topK !== undefined) && moe.router.type === 'hash') {
    throw new XMoEError('config', 'the run uses the hash router, which has no gate to choose by', { hint: 'leave --threshold and --top-k out for this run' });
  }
  if ((threshold !== undefined || topK !== undefined) && moe.router.type === 'null-experts') {
    throw new XMoEError('config', 'the run chooses among null experts too: its gate is not one for a threshold or top-k', { hint: 'leave --threshold and --top-k out for this run' });
  }
  const most = Math.max(topK ?? 0, perToken ?? 0);
  if (most > moe.experts) throw new XMoEError('config', `${most} experts per token are more than the ${moe.experts} of the run`, { hint: `pass at most ${moe.experts}` });
  if (noise && !(moe.router.type === 'topk' && moe.router.noise === true && threshold === undefined && topK === undefined)) {
    throw new XMoEError('config', 'the run draws no noise: only top-k runs with router.noise do, evaluated by their own rule', { hint: 'leave noise out for this run' });
  }
  const isSet = (name: 'renormalize' | 'equalWeights'): boolean => name in moe.router && (moe.router as Readonly<Record<string, unknown>>)[name] === true;
  const weights = { ...(isSet('renormalize') ? { renormalize: true } : {}), ...(isSet('equalWeights') ? { equalWeights: true } : {}) };
  const router = threshold !== undefined ? { type: 'threshold' as const, threshold, ...weights } : topK !== undefined ? { type: 'topk' as const, k: topK, ...weights } : noise ? { ...moe.router, noiseInEvaluation: true } : moe.router;
  return { ...config, moe: { ...moe, ...(router === moe.router ? {} : { thresholds: null }), router, dispatch: dispatch === 'trained' ? moe.dispatch : dispatch, capacityFactor: capacityFactor ?? moe.capacityFactor } };
}

/** Whether later tokens can change what earlier ones are given. */
export const leaks = ({ moe }: LanguageConfig): boolean => moe !== null && moe.dispatch !== 'grouped';

/** In a few words: `t = 0.5, padded, γ = 2`. */
export function pointText(config: LanguageConfig, point: EvaluationPoint): string {
  const { moe } = configAt(config, point);
  if (!moe) return 'dense';
  const rule = point.perToken !== undefined ? `${point.perToken} per token by t` : point.threshold !== undefined ? `t = ${point.threshold}` : point.topK !== undefined ? `top-${point.topK}` : moe.router.type === 'threshold' ? `t = ${moe.router.threshold}` : moe.router.type;
  const noisy = 'noiseInEvaluation' in moe.router && moe.router.noiseInEvaluation ? `${rule} with noise` : rule;
  return moe.dispatch === 'grouped' ? `${noisy}, nothing dropped` : `${noisy}, ${moe.dispatch}, γ = ${moe.capacityFactor}`;
}

/** Halvings of 0 … 1: thresholds to 1/1024. */
const HALVINGS = 10;

/** Windows of validation text by which a threshold is found, if there are so many. */
const WINDOWS_TO_TUNE = 128;

/** Scores a split of a run at a point. A routing group is a batch of training where there is a capacity. */
export async function evaluateAt(run: TrainedRun, point: EvaluationPoint, split: SplitName, maxWindows: number | null): Promise<{ config: LanguageConfig; result: EvaluationResult }> {
  const trained = run.record.config;
  const { perToken, ...rest } = point;
  const config = configAt(trained, perToken === undefined ? point : { ...rest, threshold: await thresholdFor(run, perToken) });
  const result = await evaluate({
    engine: run.device.engine,
    model: createLanguageModelFromConfig(config, run.tokenizer.vocabularySize, { countPositive: point.positive === true }),
    parameters: run.parameters,
    split: (await run.dataset()).split(split),
    tokenizer: run.tokenizer,
    batchSize: leaks(config) ? trained.train.batchSize : leakFreeBatchSize(trained),
    computeDType: trained.train.precision,
    summarizeTrace: routingReader(config, 1),
    ...(maxWindows === null ? {} : { maxWindows }),
  });
  return { config, result };
}

/** The threshold by which tokens of the validation text take `perToken` experts on average over them and the layers, nothing dropped. */
function thresholdFor(run: TrainedRun, perToken: number): Promise<number> {
  return searchByHalves(HALVINGS, async (threshold) => {
    const { config, result } = await evaluateAt(run, { threshold }, 'validation', WINDOWS_TO_TUNE);
    return (figuresOf(config, result).wantedEvaluation ?? 0) < perToken;
  });
}

export function figuresOf(config: LanguageConfig, { loss, perplexity, bitsPerByte, tokens, routing: layers }: EvaluationResult): PointFigures {
  const scores = { loss, perplexity, bitsPerByte, tokens, ...positiveFigures(config, layers) };
  const routing = layers.filter(({ layer }) => hasExperts(config, layer));
  if (routing.length === 0) return scores;
  const mean = (pick: (summary: LayerRouting) => number): number => routing.reduce((sum, { summary }) => sum + pick(summary), 0) / routing.length;
  const executed = expertsOverDense(config, routing);
  return {
    ...scores,
    wantedEvaluation: mean((summary) => summary.expertsPerToken),
    keptEvaluation: mean((summary) => summary.keptPerToken),
    ...(executed === null ? {} : { executedEvaluation: executed }),
    dropEvaluation: mean((summary) => summary.dropRate),
    loadEvaluation: mean(({ load }) => load.length * load.reduce((most, share) => Math.max(most, share), 0)),
  };
}

/** Whether a layer as traces name it, `h.1`, has experts. Dense layers are traced where positive units are counted. */
export const hasExperts = (config: LanguageConfig, layer: string): boolean => languageLayerHasExperts(config, Number(layer.slice(layer.lastIndexOf('.') + 1)) + 1);

/** Positive share of a layer with the room that nobody took counted as zeros; undefined where there is no room without a claim. */
export function filledShare({ moe }: LanguageConfig, { positiveShare, keptPerToken }: LayerRouting): number | undefined {
  return positiveShare === undefined || moe === null || moe.dispatch === 'grouped' ? undefined : (positiveShare * keptPerToken) / Math.max(keptPerToken, moe.capacityFactor);
}

function positiveFigures(config: LanguageConfig, layers: EvaluationResult['routing']): Pick<PointFigures, 'positiveExperts' | 'positiveFilled' | 'positiveDense'> {
  const counted = layers.filter(({ summary }) => summary.positiveShare !== undefined);
  const [experts, dense] = [counted.filter(({ layer }) => hasExperts(config, layer)), counted.filter(({ layer }) => !hasExperts(config, layer))];
  const mean = (some: typeof counted, pick: (summary: LayerRouting) => number | undefined): number | undefined => {
    const values = some.flatMap(({ summary }) => pick(summary) ?? []);
    return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length;
  };
  const figures = {
    positiveExperts: mean(experts, (summary) => summary.positiveShare), positiveFilled: mean(experts, (summary) => filledShare(config, summary)),
    positiveDense: mean(dense, (summary) => summary.positiveShare),
  };
  return Object.fromEntries(Object.entries(figures).filter(([, value]) => value !== undefined));
}

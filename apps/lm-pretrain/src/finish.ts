// What a finished run shows: test perplexity beside n-gram models, a sample, summary.json and the HTML report.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { isXMoEError, type Parameters } from '@xmoe/core';
import { createLanguageModelFromConfig, DEFAULT_SAMPLING, droplessLanguageConfig, expertsOverDense, generateTokens, languageModelSize, routingReader } from '@xmoe/models';
import { ngramBaselines, type NgramBaselines } from '@xmoe/text';
import type { RunOutcome } from '@xmoe/train/node';
import type { LayerRouting, RoutingByLayer } from '@xmoe/train';
import { writeResult, type ResultFiles } from '@xmoe/program/report';
import type { Config } from './config.js';
import { evaluate, type EvaluationResult } from './evaluate.js';
import { progressLine } from '@xmoe/program';
import type { LanguageRun } from './language-run.js';
import { runReportData } from './run-report.js';

/** Of the test split. Perplexities are per token of the tokenizer, all over the same `testTokens`. */
export interface TestScores {
  /** Scored: the whole test split, or as much of it as `train.testWindows` says. */
  testTokens: number;
  /** With the dispatch and capacity of training. */
  testPerplexity: number;
  bitsPerByte: number;
  /** Dropless: no token can push another out, so nothing leaks from later tokens. */
  leakFreeTestPerplexity: number;
  leakFreeBitsPerByte: number;
  unigramPerplexity: number;
  bigramPerplexity: number;
  unigramBitsPerByte: number;
  bigramBitsPerByte: number;
  /** What capacity had room for, and what was wanted, kept and executed in training and on the test; null of a dense model. */
  experts: ExpertsInUse | null;
  /** By layer with experts. */
  expertsPerToken: Record<string, number>;
  dropRate: Record<string, number>;
}

/** Experts per token, mean over layers, and what they multiplied over what dense layers would. */
export interface ExpertsUsed {
  wanted: number;
  kept: number;
  executedOverDense: number;
}

export interface ExpertsInUse {
  /** γ; null where nothing is dropped. */
  room: number | null;
  /** In the last step whose routing was collected. */
  training: ExpertsUsed | null;
  /** On the test, with the dispatch of training. */
  withCapacity: ExpertsUsed;
  leakFree: ExpertsUsed;
}

/** summary.json; without the scores where there is no test split. */
export interface Summary extends Partial<TestScores> {
  preset: string;
  backend: string;
  router: string;
  dispatch: string | null;
  steps: number;
  tokens: number;
  parameters: number;
  tokensPerSecond: number;
  trainingSeconds: number;
  /** Processor time of them, over all threads. */
  processorSeconds: number;
  /** Updates that changed nothing, their gradient not being finite. */
  skippedUpdates: number;
  /** Of the expert layers, over the whole run, forward and backward. */
  budgetedFlops: number;
  executedFlops: number;
  /** Begins with the prompt; that alone of a model that diverged. */
  sample: string;
}

export type FinishedRun = ResultFiles<Summary>;

const SAMPLE_PROMPT = 'The ';
const LEAK_FREE_BATCH_TOKENS = 2048;

/** Windows per batch where nothing is dropped: the batch does not matter there, and large ones are faster. */
export function leakFreeBatchSize({ model, train }: Config): number {
  return Math.max(train.batchSize, Math.ceil(LEAK_FREE_BATCH_TOKENS / model.contextLength));
}

/** Scores the test split, samples, and writes summary.json and report.html. Null when a signal ended it: nothing is written then. */
export async function finishRun(run: LanguageRun, outcome: RunOutcome): Promise<FinishedRun | null> {
  const { plan: { config, out }, stop } = run;
  const scores = run.data.splits.test ? await testScores(run, outcome) : {};
  if (stop.requested) return null;
  const sample = await sampleText(run);
  if (stop.requested || run.comm.rank !== 0) return null;
  const summary = summaryOf(run, outcome, scores, sample);
  return writeResult(out, summary, (recorded) => runReportData(summary, config, recorded, SAMPLE_PROMPT));
}

/** Of the model and of the n-gram models beside it. What a signal ended is not whole. */
async function testScores(run: LanguageRun, outcome: RunOutcome): Promise<Partial<TestScores>> {
  const { plan: { config }, data: { dataset, tokenizer }, stop } = run;
  const scored = await scoreTest(run, config, 'Scoring the test split');
  if (stop.requested) return {};
  const dropless = config.moe ? await scoreTest(run, droplessLanguageConfig(config), 'Scoring it with nothing dropped') : scored;
  if (stop.requested) return {};
  if (run.comm.rank !== 0) return {}; // what follows is of the summary, which the first writes
  const baselines = ngramBaselines(dataset.split('train'), dataset.split('test'), tokenizer.vocabularySize, { maxScoredTokens: scored.tokens, scoredBytes: scored.bytes });
  return {
    testTokens: scored.tokens,
    testPerplexity: scored.perplexity,
    bitsPerByte: scored.bitsPerByte,
    leakFreeTestPerplexity: dropless.perplexity,
    leakFreeBitsPerByte: dropless.bitsPerByte,
    ...baselineNumbers(baselines),
    experts: expertsInUse(config, outcome, scored, dropless),
    expertsPerToken: byLayer(scored, (routing) => routing.expertsPerToken),
    dropRate: byLayer(scored, (routing) => routing.dropRate),
  };
}

function expertsInUse(config: Config, outcome: RunOutcome, scored: EvaluationResult, dropless: EvaluationResult): ExpertsInUse | null {
  const { moe } = config;
  const [withCapacity, leakFree] = [expertsUsed(config, scored.routing, 1), expertsUsed(config, dropless.routing, 1)];
  if (!moe || !withCapacity || !leakFree) return null;
  return { room: moe.dispatch === 'grouped' ? null : moe.capacityFactor, training: expertsUsed(config, outcome.routing, 3), withCapacity, leakFree };
}

/** @param passes that the executed FLOPs of the routing count: 3 with the backward pass */
function expertsUsed(config: Config, routing: RoutingByLayer, passes: 1 | 3): ExpertsUsed | null {
  const executed = expertsOverDense(config, routing);
  if (executed === null) return null;
  const mean = (pick: (summary: LayerRouting) => number): number => routing.reduce((sum, { summary }) => sum + pick(summary), 0) / routing.length;
  return { wanted: mean((summary) => summary.expertsPerToken), kept: mean((summary) => summary.keptPerToken), executedOverDense: executed / passes };
}

function summaryOf({ plan, data, device }: LanguageRun, outcome: RunOutcome, scores: Partial<TestScores>, sample: string): Summary {
  const { config } = plan;
  const vocabulary = data.tokenizer.vocabularySize;
  return {
    preset: plan.preset,
    backend: device.engine.backend.name,
    router: config.moe?.router.type ?? 'dense',
    dispatch: config.moe?.dispatch ?? null,
    steps: outcome.step,
    tokens: outcome.targets,
    parameters: languageModelSize(config, vocabulary).parameters,
    ...scores,
    tokensPerSecond: outcome.targets / outcome.seconds,
    trainingSeconds: outcome.seconds,
    processorSeconds: outcome.processorSeconds,
    skippedUpdates: outcome.skippedUpdates,
    budgetedFlops: outcome.budgetedFlops,
    executedFlops: outcome.executedFlops,
    sample,
  };
}

/** Scores the test split, with a line on a terminal that says how far it is. */
async function scoreTest(run: LanguageRun, evaluated: Config, label: string): Promise<EvaluationResult> {
  const { plan: { config }, stream, data, model: { model, parameters }, device, stop } = run;
  const { tokenizer } = data;
  const original = evaluated === config;
  const line = progressLine(stream, label);
  const result = await evaluate({
    engine: device.engine,
    model: original ? model : createLanguageModelFromConfig(evaluated, tokenizer.vocabularySize, { experts: run.ranks.experts }),
    parameters,
    split: data.dataset.split('test'),
    tokenizer,
    batchSize: original ? config.train.batchSize : leakFreeBatchSize(config),
    computeDType: config.train.precision,
    summarizeTrace: routingReader(evaluated, 1),
    ranks: run.ranks,
    ...(config.train.testWindows === null ? {} : { maxWindows: config.train.testWindows }),
    onProgress: line.update,
    stopped: () => stop.requested,
  });
  line.done();
  return result;
}

function baselineNumbers(baselines: NgramBaselines) {
  const { unigramPerplexity, bigramPerplexity, unigramBitsPerByte, bigramBitsPerByte } = baselines;
  return { unigramPerplexity, bigramPerplexity, unigramBitsPerByte, bigramBitsPerByte };
}

function byLayer(result: EvaluationResult, pick: (routing: LayerRouting) => number): Record<string, number> {
  return Object.fromEntries(result.routing.map(({ layer, summary }) => [layer, pick(summary)]));
}

async function sampleText({ plan: { config }, ranks, device, data, model: { parameters }, stop }: LanguageRun): Promise<string> {
  const { engine } = device;
  const model = createLanguageModelFromConfig(droplessLanguageConfig(config), data.tokenizer.vocabularySize, { experts: ranks.experts });
  const tokens: number[] = [];
  try {
    for await (const token of generateTokens(engine, model, parameters as Parameters, data.tokenizer, SAMPLE_PROMPT, DEFAULT_SAMPLING, config.train.precision)) {
      tokens.push(token);
      await nextTurn();
      if (stop.requested) break;
    }
  } catch (error) {
    // A model that diverged says nothing; its scores are told all the same.
    if (!isXMoEError(error) || error.code !== 'numerics') throw error;
  }
  return SAMPLE_PROMPT + data.tokenizer.decode(tokens);
}

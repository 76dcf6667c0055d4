// What a finished run shows: the best parameters, BLEU and chrF2++ of the test pairs beside simple baselines, sample
// translations, summary.json and the HTML report.
import { basename, join } from 'node:path';
import { routingReader, translationModelSize } from '@xmoe/models';
import { hasThreshold } from '@xmoe/models/sections';
import { averageTensors, loadParameters, restoreParameters, type LayerRouting } from '@xmoe/train';
import { createCheckpointStore, findBest, saveAverage, type RunOutcome } from '@xmoe/train/node';
import { writeResult, type ResultFiles, type RoutedWord, type TranslationSample } from '@xmoe/program/report';
import { tokenizerToJson } from '@xmoe/text';
import { progressLine, RUN_FILES } from '@xmoe/program';
import { createCopyBaseline, textsOfSplit, trainDictionary } from './baselines/index.js';
import { routeSentence, wordsOf } from './route-sentence.js';
import { runReportData } from './run-report.js';
import { bleuTokenizerOf, scoreTranslations, type Scores } from './scores.js';
import type { TranslationRun } from './translation-run.js';
import { referenceLoss, scoreValidation, sharedBy, translatePairs, type LossResult, type TranslatedPairs } from './validate.js';

/** A system's scores on the test pairs. */
export interface SystemScores {
  name: string;
  bleu: number;
  chrf: number;
}

/** summary.json. All scores are of the same test pairs. */
export interface Summary {
  preset: string;
  languages: string;
  backend: string;
  router: string;
  dispatch: string | null;
  /** Updates of the run; fewer than asked for when patience ended it. */
  steps: number;
  stoppedEarly: boolean;
  /** Target tokens trained on. */
  tokens: number;
  parameters: number;
  /** The checkpoint that the scores are of: the best on the validation pairs. */
  checkpoint: string;
  trainPairs: number;
  testPairs: number;
  /** Nats per target token of the references, without label smoothing. */
  testLoss: number;
  bleu: number;
  chrf: number;
  bleuSignature: string;
  chrfSignature: string;
  beam: number;
  lengthPenalty: number;
  /** Of the threshold router when translating; null: as in training, or another router. */
  threshold: number | null;
  /** The source itself, and word by word with a dictionary learned from the training pairs. */
  baselines: SystemScores[];
  tokensPerSecond: number;
  trainingSeconds: number;
  /** Processor time of them, over all threads. */
  processorSeconds: number;
  /** Updates that changed nothing, their gradient not being finite. */
  skippedUpdates: number;
  /** By layer with experts: on the references of the test pairs with nothing dropped, and in the last step that was looked at. */
  expertsPerToken: Record<string, number>;
  dropRate: Record<string, number>;
  /** Of the expert layers, over the whole run, forward and backward. */
  budgetedFlops: number;
  executedFlops: number;
  samples: TranslationSample[];
}

export type FinishedRun = ResultFiles<Summary>;

const SAMPLES = 10;

/** Scores the test pairs with the best parameters and writes summary.json and report.html. Null when a signal ended it: nothing is written then. */
export async function finishRun(run: TranslationRun, outcome: RunOutcome): Promise<FinishedRun | null> {
  const { plan: { config, out }, ranks, stop, data: { dataset }, model: { dropless, parameters } } = run;
  const checkpoint = await takeBest(run);
  if (stop.requested) return null;
  const loss = await referenceLoss({
    engine: run.device.engine, model: dropless, parameters, dataset, split: 'test',
    computeDType: config.train.precision, summarizeTrace: routingReader(config, 1), ranks, stopped: () => stop.requested,
  });
  const pairs = await translateTest(run);
  if (pairs === null || stop.requested) return null;
  const chosen = sampleIndices(pairs.sources.length);
  const words = await routeSamples(run, chosen);
  if (stop.requested || run.comm.rank !== 0) return null;
  const tokenizer = bleuTokenizerOf(config);
  const score = (hypotheses: readonly string[]): Scores => scoreTranslations(hypotheses, pairs.references, tokenizer);
  const { source: sourceLanguage, target: targetLanguage } = dataset.languages;
  const baselines = [createCopyBaseline(), trainDictionary(textsOfSplit(dataset, 'train'), { sourceLanguage, targetLanguage })]
    .map(({ name, translate }) => ({ name, ...numbersOf(score(pairs.sources.map(translate))) }));
  const summary = summaryOf(run, outcome, checkpoint, loss, score(pairs.hypotheses), { baselines, samples: samplesOf(pairs, chosen) });
  return writeResult(out, summary, (recorded) => runReportData(summary, config, recorded, words));
}

/** Averages the last checkpoints if asked to, and leaves the parameters of the best checkpoint in the model. */
async function takeBest(run: TranslationRun): Promise<{ path: string }> {
  const { plan: { config, out }, comm, stream, model: { parameters, model }, data: { tokenizer } } = run;
  const directory = join(out, RUN_FILES.checkpoints);
  const store = createCheckpointStore({ directory, onWarning: (message) => stream.write(`${message}\n`) });
  const entries = (await store.list()).slice(-config.train.averageCheckpoints);
  if (entries.length > 1) {
    const opened = await Promise.all(entries.map(({ path }) => store.open(path))); // parameters alone are read: moments are twice as much
    const mean = averageTensors(await Promise.all(opened.map(({ tensors }) => Promise.all(tensors.parameters!.map(async ({ name, dtype, shape, read }) => ({ name, dtype, shape, data: await read() }))))));
    loadParameters(parameters, model.parameters, mean, 'the average');
    const { metric } = await scoreValidation(run);
    const { step, state } = opened.at(-1)!;
    if (comm.rank === 0) await saveAverage(directory, { step, state, tensors: { parameters: mean }, metric: metric!, files: { 'tokenizer.json': tokenizerToJson(tokenizer) } });
    await comm.barrier(); // what the first wrote, all read
  }
  const best = await findBest(directory);
  const { path, tensors } = best ? await store.open(best) : await store.openLatest();
  await restoreParameters(parameters, model.parameters, tensors.parameters!, path); // of each tensor what this rank has of it
  return { path };
}

async function translateTest({ plan: { config }, ranks, stream, model: { lines }, data: { dataset }, stop }: TranslationRun): Promise<TranslatedPairs | null> {
  const line = progressLine(stream, `Translating the test pairs, beam ${config.decoding.beam}`);
  const pairs = await translatePairs({
    lines, dataset, split: 'test', pairs: config.train.scoredPairs, ...config.decoding, onProgress: line.update, ...sharedBy(ranks, () => stop.requested),
    stopped: () => (ranks.experts.size > 1 ? stop.requested : stop.abortSignal.aborted), // ranks that translate batches of their own ask for themselves
  });
  line.done();
  return pairs;
}

/** Evenly over the test pairs: not chosen by quality. */
function sampleIndices(pairs: number): number[] {
  const count = Math.min(SAMPLES, pairs);
  return Array.from({ length: count }, (_, index) => Math.floor((index * pairs) / count));
}

function samplesOf({ sources, references, hypotheses }: TranslatedPairs, indices: readonly number[]): TranslationSample[] {
  return indices.map((index) => ({ source: sources[index]!, reference: references[index]!, translation: hypotheses[index]! }));
}

/** The source words of the samples with the experts they took; without experts none. */
async function routeSamples({ plan: { config }, device, model: { dropless, parameters }, data: { dataset } }: TranslationRun, indices: readonly number[]): Promise<RoutedWord[][]> {
  if (config.moe === null || config.moe.side === 'decoder') return [];
  const { tokenizer, tokens } = dataset;
  const router = { engine: device.engine, model: dropless, parameters, tokenizer, tokens, computeDType: config.train.precision };
  const words: RoutedWord[][] = [];
  for (const index of indices) {
    const { source, target } = dataset.split('test').read(index);
    words.push(wordsOf((await routeSentence(router, source.subarray(0, -1), target.subarray(0, -1))).source));
  }
  return words;
}

function numbersOf({ bleu, chrf }: Scores): { bleu: number; chrf: number } {
  return { bleu: bleu.score, chrf: chrf.score };
}

function summaryOf(
  { plan, data: { dataset }, device }: TranslationRun,
  outcome: RunOutcome,
  checkpoint: { path: string },
  loss: LossResult,
  own: Scores,
  beside: Pick<Summary, 'baselines' | 'samples'>,
): Summary {
  const { config } = plan;
  const { source, target } = dataset.languages;
  const test = dataset.split('test').pairs;
  const byLayer = (routing: readonly { layer: string; summary: LayerRouting }[], pick: (summary: LayerRouting) => number): Record<string, number> =>
    Object.fromEntries(routing.map(({ layer, summary }) => [layer, pick(summary)]));
  return {
    preset: plan.preset,
    languages: `${source}-${target}`,
    backend: device.engine.backend.name,
    router: config.moe?.router.type ?? 'dense',
    dispatch: config.moe?.dispatch ?? null,
    steps: outcome.step,
    stoppedEarly: outcome.stoppedEarly,
    tokens: outcome.targets,
    parameters: translationModelSize(config, dataset.tokenizer.vocabularySize).parameters,
    checkpoint: basename(checkpoint.path),
    trainPairs: dataset.split('train').pairs,
    testPairs: Math.min(config.train.scoredPairs ?? test, test),
    testLoss: loss.loss,
    ...numbersOf(own),
    bleuSignature: own.bleu.signature,
    chrfSignature: own.chrf.signature,
    beam: config.decoding.beam,
    lengthPenalty: config.decoding.lengthPenalty,
    threshold: config.moe && hasThreshold(config.moe.router) ? config.decoding.threshold : null,
    tokensPerSecond: outcome.targets / outcome.seconds,
    trainingSeconds: outcome.seconds,
    processorSeconds: outcome.processorSeconds,
    skippedUpdates: outcome.skippedUpdates,
    expertsPerToken: byLayer(loss.routing, (summary) => summary.expertsPerToken),
    dropRate: byLayer(outcome.routing, (summary) => summary.dropRate),
    budgetedFlops: outcome.budgetedFlops,
    executedFlops: outcome.executedFlops,
    ...beside,
  };
}

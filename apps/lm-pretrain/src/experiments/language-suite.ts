// What `reproduce` of language models is made of: its experiments at each scale, the columns of its tables, and how its runs are read.
import { unknownName } from '@xmoe/core';
import { denseFlops } from '@xmoe/moe';
import { languageLayerHasExperts, languageModelSize, languageVocabulary, readLanguageConfig } from '@xmoe/models';
import type { JsonObject } from '@xmoe/files';
import { figuresThere, numberAt, type ExperimentSuite, type Figures, type FigureColumn, type Quality, type RecordedRun, type ScaleChange } from '@xmoe/program/experiments';
import { PROGRAM } from '../config.js';
import { balance } from './balance.js';
import { confounds } from './confounds.js';
import { fine } from './fine.js';
import { figure1, figure4, figure5, figure7 } from './figures.js';
import { figure8 } from './figure8.js';
import { routers } from './routers.js';
import { SCALES, type Scale } from './scales.js';
import { firstSize, settingsOf } from './settings.js';
import { split } from './split.js';
import { table1 } from './table1.js';
import { table2 } from './table2.js';

const QUALITY: Quality = {
  key: 'loss', title: 'nats', meaning: 'Mean loss per test token in nats, evaluated as the row says; with nothing dropped unless it says otherwise. Lower is better; all differences are of it.',
  digits: 4, lowerIsBetter: true, unit: 'nats', inOtherWords: (difference) => `${(100 * Math.expm1(difference)).toFixed(1).replace('-', '−')} % of perplexity`,
};

const COLUMNS: readonly FigureColumn[] = [
  { key: 'perplexity', title: 'perplexity', meaning: 'exp of the nats.', digits: 2 },
  { key: 'capacityPerplexity', title: 'with capacity (leaks)', meaning: 'Perplexity with the dispatch and capacity of training. Later tokens push earlier ones out of their experts, so it is no likelihood: it leaks.', digits: 2 },
  { key: 'wantedTraining', title: 'wanted, training', meaning: 'Experts that a token chose in training, before capacity; mean over steps and layers.', digits: 2 },
  { key: 'keptTraining', title: 'kept, training', meaning: 'Of those, what capacity kept.', digits: 2 },
  { key: 'room', title: 'room, training', meaning: 'γ: experts per token that capacity has room for; with nothing dropped there is no limit.', digits: 2 },
  { key: 'executedTraining', title: 'FLOPs, training', meaning: 'What the experts multiplied in training, from rows that were executed, over what dense layers would: forward and backward.', digits: 2 },
  { key: 'wantedEvaluation', title: 'wanted, evaluation', meaning: 'Experts that a token of the test chose.', digits: 2 },
  { key: 'keptEvaluation', title: 'kept, evaluation', meaning: 'Of those, what capacity kept.', digits: 2 },
  { key: 'executedEvaluation', title: 'FLOPs, evaluation', meaning: 'What the experts multiplied on the test, over what dense layers would. Equal budgets in training are not equal costs in use.', digits: 2 },
  { key: 'dropTraining', title: 'dropped, training', meaning: 'Share of the claims that capacity dropped in training.', digits: 1, share: true },
  { key: 'dropEvaluation', title: 'dropped, evaluation', meaning: 'The same on the test.', digits: 1, share: true },
  { key: 'loadEvaluation', title: 'load max/mean', meaning: 'Claims of the busiest expert over the mean on the test; mean over layers.', digits: 2 },
  { key: 'positiveExperts', title: 'positive, experts', meaning: 'Hidden units of experts above 0, over the rows of claims.', digits: 1, share: true },
  { key: 'positiveFilled', title: 'positive, with fillers', meaning: 'The same with the room that nobody took counted as zeros, as a path computes it that pads.', digits: 1, share: true },
  { key: 'positiveDense', title: 'positive, dense layers', meaning: 'Hidden units of the model’s dense layers above 0.', digits: 1, share: true },
  { key: 'processorSeconds', title: 'processor s', meaning: 'Processor time of the training steps, over all threads. Other work on the machine makes it longer, but less than it makes wall-clock.', digits: 0 },
  { key: 'trainingSeconds', title: 'wall s', meaning: 'Wall-clock of the training steps.', digits: 0 },
];

function scaleOf(name: string): Scale {
  const scale = SCALES.find((one) => one.name === name);
  if (!scale) throw unknownName('reproduce', 'scale', name, SCALES.map((one) => one.name));
  return scale;
}

export const languageSuite: ExperimentSuite = {
  program: PROGRAM,
  scales: SCALES.map(({ name }) => name),
  names: ['table1', 'table2', 'split', 'figure1', 'figure4', 'figure5', 'figure7', 'figure8', 'confounds', 'routers', 'balance', 'fine'],
  experiments(name, change) {
    const scale = scaleOf(name);
    const settings = settingsOf(scale, change);
    const [first] = settings;
    return [table1(settings), table2(firstSize(settings)), split(first), figure1(first), figure4(first), figure5(first), figure7(first), figure8(scale.backend !== 'cpu'), confounds(first), routers(scale.fewer ? [first] : firstSize(settings)), balance(firstSize(settings)), fine(first)];
  },
  backendOf: (name) => scaleOf(name).backend,
  quality: QUALITY,
  columns: COLUMNS,
  flopsOf(value) {
    const { model, train } = readLanguageConfig(value);
    return flopsPerToken(value) * train.steps * train.batchSize * train.accumulation * model.contextLength;
  },
  flopsPerToken,
  trainingFigures,
  notes: (name, change) => notesOf(scaleOf(name), change),
};

function flopsPerToken(value: JsonObject): number {
  const config = readLanguageConfig(value);
  return languageModelSize(config, languageVocabulary(config)).flopsPerToken;
}

function notesOf({ name, sizes, corpora, train }: Scale, { data, maxSteps }: ScaleChange): string[] {
  if (name === 'paper' && !data && maxSteps === undefined) return [];
  const text = data ? `${data.join(', ')} stands for the paper’s corpora` : corpora.map(({ title, standsFor }) => (title === standsFor ? title : `${title} stands for ${standsFor}`)).join(', ');
  return [`This is not the paper’s size: ${sizes.map(({ title, standsFor }) => `${title} stands for ${standsFor}`).join(', ')}; ${text}; ${maxSteps ?? String(train.steps)} steps. Published numbers are beside ours for their order, not their value.`];
}

/** From summary.json and metrics.jsonl of a finished run. */
function trainingFigures({ summary, rows }: RecordedRun, value: JsonObject): Figures {
  const config = readLanguageConfig(value);
  const number = (key: string): number | undefined => numberAt(summary, key);
  const times = { processorSeconds: number('processorSeconds'), trainingSeconds: number('trainingSeconds') };
  const { moe, model } = config;
  if (!moe) return figuresThere({ ...times, executedTraining: 1 });
  const layers = Array.from({ length: model.layers }, (_, index) => index + 1).filter((index) => languageLayerHasExperts(config, index)).length;
  const denseTraining = 3 * (number('tokens') ?? Number.NaN) * layers * denseFlops({ tokens: 1, width: model.width, hidden: model.hidden });
  const claims = rows.flatMap((row) => (row.kind === 'step' && row.expertsPerToken !== undefined
    ? [{ wanted: meanOf(row.expertsPerToken), kept: meanOf(row.expertsPerToken.map((wanted, layer) => wanted * (1 - (row.dropRate?.[layer] ?? 0)))) }] : []));
  const [wanted, kept] = claims.length === 0 ? [] : [meanOf(claims.map((one) => one.wanted)), meanOf(claims.map((one) => one.kept))];
  return figuresThere({
    ...times,
    wantedTraining: wanted, keptTraining: kept, dropTraining: wanted === undefined ? undefined : wanted > 0 ? 1 - kept! / wanted : 0,
    executedTraining: (number('executedFlops') ?? Number.NaN) / denseTraining,
    ...(moe.dispatch === 'grouped' ? {} : { room: moe.capacityFactor, capacityPerplexity: number('testPerplexity') }),
  });
}

const meanOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);

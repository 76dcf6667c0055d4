// Figures 1 (and 6), 4, 5 and 7: how many hidden units are positive, fewer FLOPs when a trained model is used, experts that a token wants while it trains, and thresholds in training against
// thresholds in use. All on the first size and the first corpus.
import { join } from 'node:path';
import { readMetrics } from '@xmoe/train/node';
import { RUN_FILES } from '@xmoe/program';
import { seriesChart, type Arm, type Experiment, type Figures, type Results, type Row, type SeriesPoint } from '@xmoe/program/experiments';
import { expertArm, type Setting } from './settings.js';
import { LEAK_FREE, table1Rows, topK, xmoe } from './table1.js';

const IN_USE = ['perplexity', 'wantedEvaluation', 'keptEvaluation', 'executedEvaluation', 'dropEvaluation', 'loadEvaluation'];

/** Mean over seeds of two figures of each row. */
function meanPoints(results: Results, rows: readonly Row[], seriesOf: (row: Row) => string): SeriesPoint[] {
  return rows.flatMap((row) => {
    const known = results.figures(row).filter((figures): figures is Figures => figures?.executedEvaluation !== undefined);
    if (known.length === 0) return [];
    const mean = (key: string): number => known.reduce((sum, figures) => sum + figures[key]!, 0) / known.length;
    return [{ x: mean('executedEvaluation'), y: mean('perplexity'), series: seriesOf(row) }];
  });
}

const AGAINST_EXECUTED = { x: 'expert FLOPs executed in use / dense', y: 'perplexity' };

export function figure1(setting: Setting): Experiment {
  const table = table1Rows(setting);
  const rows = Object.values(table).map((row): Row => ({ label: row.label, arm: row.arm, point: row.label === 'dense' ? { positive: true } : { dispatch: 'trained', positive: true } }));
  return {
    name: 'figure1',
    title: 'Figures 1 and 6: hidden units above zero',
    question: 'How much of what is multiplied is multiplied by something? Smaller experts and a threshold are to leave out what would be zero or nearly so. Counted on the test with the capacity of training.',
    groups: [{ title: setting.title, rows }],
    claims: [],
    columns: ['positiveDense', 'positiveExperts', 'positiveFilled', 'keptEvaluation', 'room'],
  };
}

/** Experts of a quarter of the dense layer, where the paper's differences are largest. */
const FINER = 4;

export function figure4(setting: Setting): Experiment {
  const [adaptive, fixed] = [expertArm(setting, xmoe(FINER)), expertArm(setting, topK(FINER))];
  const factors = [4, 3, 2, 1.5, 1, 0.5];
  const byFactor = (name: string, arm: Arm): Row[] => factors.map((capacityFactor) => ({ label: `${name}, γ = ${capacityFactor}`, arm, point: { dispatch: 'padded', capacityFactor } }));
  const byThreshold = (name: string, arm: Arm): Row[] => [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3].map((threshold) => ({ label: `${name}, t = ${threshold}`, arm, point: { threshold } }));
  const byCount = (name: string, arm: Arm): Row[] => [4, 3, 2, 1].map((count) => ({ label: `${name}, top-${count}`, arm, point: { topK: count } }));
  const kinds: readonly [string, Row[]][] = [
    ['XMoE by γ (leaks)', byFactor('XMoE', adaptive)], ['XMoE by t', byThreshold('XMoE', adaptive)], ['XMoE by top-k', byCount('XMoE', adaptive)],
    ['top-k by γ (leaks)', byFactor('top-k model', fixed)], ['top-k by t', byThreshold('top-k model', fixed)], ['top-k by top-k', byCount('top-k model', fixed)],
  ];
  const rows = kinds.flatMap(([, some]) => some);
  const [capacity, , , ofTopK] = kinds.map(([, some]) => some) as [Row[], Row[], Row[], Row[]];
  return {
    name: 'figure4',
    title: 'Figure 4: fewer FLOPs when a trained model is used',
    question: 'What does a model lose that was trained with γ = 4 when it is used with less, by capacity, by threshold or by a fixed number of experts? Any model by any rule.',
    groups: [
      { title: `trained as XMoE, ${setting.title}`, rows: rows.filter(({ arm }) => arm === adaptive), baseline: capacity[0]! },
      { title: `trained as top-${FINER}, ${setting.title}`, rows: rows.filter(({ arm }) => arm === fixed), baseline: ofTopK[0]! },
    ],
    claims: [
      { text: 'XMoE can be used with half of the FLOPs without loss (γ = 2)', row: capacity[2]!, than: capacity[0]!, expect: 'no worse' },
      { text: 'Used with half of the FLOPs, XMoE is better than top-k (γ = 2)', row: capacity[2]!, than: ofTopK[2]!, expect: 'better' },
      { text: 'Lowering t costs less than lowering γ (our question: t = 0.5 against γ = 1)', row: kinds[1]![1][4]!, than: capacity[4]!, expect: 'better' },
      { text: 'A model trained by top-k is better used by threshold (our question: t = 0.5 against top-2)', row: kinds[4]![1][4]!, than: kinds[5]![1][2]!, expect: 'no worse' },
    ],
    columns: IN_USE,
    charts: (results) => seriesChart({ id: 'figure4-chart', title: 'Perplexity against executed experts in use', caption: 'Further left is cheaper, lower is better. Scores by γ leak from later tokens, the others do not.' },
      kinds.flatMap(([name, some]) => meanPoints(results, some, () => name)), AGAINST_EXECUTED),
  };
}

export function figure5(setting: Setting): Experiment {
  const rows = [2, 4, 8].map((finer): Row => ({ label: `XMoE, ${finer}× finer`, arm: expertArm(setting, xmoe(finer)), point: LEAK_FREE }));
  return {
    name: 'figure5',
    title: 'Figure 5: experts that a token wants, by layer, while it trains',
    question: 'The router sharpens in training: at a fixed t a token wants fewer experts by and by. With the capacity of training most claims of the first steps are dropped.',
    groups: [{ title: setting.title, rows }],
    claims: [],
    columns: ['perplexity', 'wantedTraining', 'keptTraining', 'room', 'dropTraining', 'wantedEvaluation', 'executedEvaluation'],
    charts: (results) => seriesChart({ id: 'figure5-chart', title: 'Experts wanted per token', caption: 'First seed, every layer with experts, before capacity.' },
      rows.flatMap(({ label, arm }) => wantedBySteps(label, results.directories(arm)[0])), { x: 'step', y: 'experts wanted per token' }),
  };
}

/** As a run has recorded it, thinned to what a chart shows. */
function wantedBySteps(label: string, directory: string | undefined): SeriesPoint[] {
  if (directory === undefined) return [];
  const rows = readMetrics(join(directory, RUN_FILES.metrics)).flatMap((row) => (row.kind === 'step' && row.expertsPerToken ? [row] : []));
  const every = Math.max(1, Math.floor(rows.length / 60));
  return rows.filter((_, index) => index % every === 0).flatMap(({ step, expertsPerToken }) =>
    expertsPerToken!.map((wanted, layer) => ({ x: step, y: wanted, series: expertsPerToken!.length > 1 ? `${label}, layer ${layer + 1} of ${expertsPerToken!.length}` : label })));
}

export function figure7(setting: Setting): Experiment {
  const thresholds = [0.5, 0.7, 0.9];
  const rows = thresholds.flatMap((trained) => [0.3, 0.5, 0.7, 0.9, 0.95].map((used): Row => ({
    label: `t = ${trained} in training, ${used} in use`, arm: expertArm(setting, xmoe(FINER, trained)), point: { threshold: used },
  })));
  const own = (trained: number): Row => rows.find(({ label }) => label === `t = ${trained} in training, ${trained} in use`)!;
  return {
    name: 'figure7',
    title: 'Figure 7: t in training against t in use',
    question: 'Does a model have to be used with the t that it was trained with?',
    groups: [{ title: setting.title, rows, baseline: own(0.9) }],
    claims: [
      { text: 't = 0.9 in training is better than 0.5, each used as trained', row: own(0.9), than: own(0.5), expect: 'better' },
      { text: 'A model trained with t = 0.9 loses nothing when used with t = 0.7', row: rows.find(({ label }) => label === 't = 0.9 in training, 0.7 in use')!, than: own(0.9), expect: 'no worse' },
    ],
    columns: ['executedTraining', ...IN_USE],
    charts: (results) => seriesChart({ id: 'figure7-chart', title: 'Perplexity by t in use', caption: 'A line for each t in training; nothing dropped.' },
      meanPoints(results, rows, ({ label }) => label.split(',')[0]!), AGAINST_EXECUTED),
  };
}

// Table 3 of the paper: translation models of its methods at equal FLOPs, several pairs of languages; scales, arms, columns, and how runs are
// read. Every run is scored by its training, on the same test pairs.
import { mergeJson, loadPreset } from '@xmoe/train';
import { readTranslationConfig, translationModelSize, translationVocabulary } from '@xmoe/models';
import { translationPresets } from '@xmoe/models/presets';
import type { JsonObject } from '@xmoe/files';
import { figuresThere, numberAt, type Arm, type Claim, type Experiment, type ExperimentSuite, type FigureColumn, type Quality, type Row, type ScaleChange } from '@xmoe/program/experiments';
import { PROGRAM } from '../config.js';

interface Scale {
  readonly name: string;
  readonly backend: string;
  /** Its model, data and training. */
  readonly preset: string;
  /** On top of the preset. */
  readonly change: JsonObject;
  /** Experts of the dense layer's size; the paper has 32 for four times as many tokens. */
  readonly coarse: number;
  readonly pairs: readonly { readonly title: string; readonly data: JsonObject }[];
}

/** Of the messages of an editor, which come with the program. */
const PACKS = ['de', 'ru', 'zh', 'fr', 'es'].map((source) => ({ title: `${source}-en`, data: { sourceLanguage: source } }));
/** The paper's, in files that the user brings. */
const FILES = ['uk', 'de', 'ru', 'he', 'zh'].map((source) => ({ title: `${source}-en`, data: { sourceLanguage: source, files: [`data/${source}-en.tsv`] } }));

/** About as long as pairs are: what attention costs depends on it a little. */
const PAIR_TOKENS = 32;

const ONE_CHECKPOINT = { keepCheckpoints: 1, averageCheckpoints: 1 };

const SCALES: readonly Scale[] = [
  { name: 'tiny', backend: 'cpu', preset: 'tiny', coarse: 8, pairs: PACKS, change: { train: { steps: 800, warmupSteps: 50, evalEvery: 800, checkpointEvery: 800, ...ONE_CHECKPOINT } } },
  { name: 'small', backend: 'cpu', preset: 'small', coarse: 8, pairs: FILES, change: { decoding: { threshold: null } } },
  { name: 'gpu', backend: 'auto', preset: 'paper-dense', coarse: 32, pairs: FILES, change: { model: { width: 256, hidden: 1024, encoderLayers: 6, decoderLayers: 3 }, train: { updateTokens: 100_000 } } },
  { name: 'paper', backend: 'auto', preset: 'paper-dense', coarse: 32, pairs: FILES, change: {} },
];

const scaleOf = (name: string): Scale => SCALES.find((scale) => scale.name === name)!;

const QUALITY: Quality = { key: 'bleu', title: 'BLEU', meaning: 'sacreBLEU’s, of the test pairs, with the beam of the scale; nothing is dropped. Higher is better; all differences are of it.', digits: 2, lowerIsBetter: false, unit: 'BLEU' };

const COLUMNS: readonly FigureColumn[] = [
  { key: 'chrf', title: 'chrF2++', meaning: 'sacreBLEU’s, word order 2, of the same translations.', digits: 2 },
  { key: 'testLoss', title: 'nats', meaning: 'Mean loss per target token of the references, nothing dropped.', digits: 3 },
  { key: 'expertsInUse', title: 'experts, use', meaning: 'Experts per token on the test references, nothing dropped; mean over layers.', digits: 2 },
  { key: 'executed', title: 'FLOPs / budget, training', meaning: 'What the experts multiplied in training over γ·T·O(E), the FLOPs of the dense layers.', digits: 2 },
  { key: 'processorSeconds', title: 'processor s', meaning: 'Processor time of the training steps, over all threads.', digits: 0 },
  { key: 'trainingSeconds', title: 'wall s', meaning: 'Wall-clock of the training steps.', digits: 0 },
];

/** Averages over the paper's five pairs, as a summary of it by others gives them; the paper itself was not at hand. */
const PUBLISHED: Readonly<Record<string, number>> = { 'top-k, 2× finer': 28.2, 'XMoE, 2× finer': 28.7, 'XMoE, 4× finer': 28.7 };

function armOf(scale: Scale, pair: Scale['pairs'][number], files: readonly string[] | undefined, maxSteps: number | undefined, experts: { finer: number; router: JsonObject & { type: string } } | null): Arm {
  const base = mergeJson(loadPreset(translationPresets, scale.preset), scale.change);
  const { hidden } = base.model as { hidden: number };
  const data = files ? { files: [...files] } : pair.data;
  const steps: JsonObject = maxSteps === undefined ? {} : { train: { steps: maxSteps, warmupSteps: Math.min(maxSteps - 1, Number((base.train as JsonObject).warmupSteps)) } };
  const moe = experts && { every: 2, experts: scale.coarse * experts.finer, expertHidden: hidden / experts.finer, router: experts.router, dispatch: 'padded', capacityFactor: experts.finer };
  const { description: _, moe: __, ...rest } = mergeJson(mergeJson(base, { data }), steps);
  const config: JsonObject = { ...rest, moe };
  readTranslationConfig(config); // valid; kept as it is
  const what = experts ? `${experts.router.type}-${scale.coarse * experts.finer}x${hidden / experts.finer}` : `dense-${hidden}`;
  return { name: `${what}-${files ? 'your-text' : pair.title}`, config };
}

function rowsOf(scale: Scale, pair: Scale['pairs'][number], { data, maxSteps }: ScaleChange): Record<string, Row> {
  const row = (label: string, experts: Parameters<typeof armOf>[4]): Row => ({
    label, arm: armOf(scale, pair, data, maxSteps, experts), point: {}, ...(PUBLISHED[label] === undefined ? {} : { published: { 'mean of five pairs': PUBLISHED[label] } }),
  });
  const rows = [
    row('dense', null), row('Switch', { finer: 1, router: { type: 'switch' } }), row('Hash', { finer: 1, router: { type: 'hash' } }), row('BASE', { finer: 1, router: { type: 'base' } }),
    ...[2, 4].map((finer) => row(`top-k, ${finer}× finer`, { finer, router: { type: 'topk', k: finer } })),
    ...[2, 4].map((finer) => row(`XMoE, ${finer}× finer`, { finer, router: { type: 'threshold', threshold: 0.9 } })),
  ];
  return Object.fromEntries(rows.map((one) => [one.label, one]));
}

function table3(scale: Scale, change: ScaleChange): Experiment {
  const pairs = change.data ? scale.pairs.slice(0, 1) : scale.pairs;
  const groups = pairs.map((pair) => ({ title: change.data ? 'your text' : pair.title, rows: rowsOf(scale, pair, change) }));
  const claims = groups.flatMap(({ title, rows }): Claim[] => [
    { text: `XMoE translates better than Switch at equal FLOPs (${title})`, row: rows['XMoE, 4× finer']!, than: rows['Switch']!, expect: 'better' },
    { text: `XMoE translates better than top-k with the same experts (${title})`, row: rows['XMoE, 2× finer']!, than: rows['top-k, 2× finer']!, expect: 'better' },
  ]);
  return {
    name: 'table3', title: 'Table 3: translation at equal FLOPs',
    question: 'Which way to use the same FLOPs of training in the encoder’s expert layers translates best? Trained with capacity, translated with nothing dropped.',
    groups: groups.map(({ title, rows }) => ({ title, rows: Object.values(rows), baseline: rows['Switch']! })), claims,
  };
}

function flopsPerToken(value: JsonObject): number {
  const config = readTranslationConfig(value);
  return translationModelSize(config, translationVocabulary(config) ?? 0).flopsPerPairToken(PAIR_TOKENS);
}

export const translationSuite: ExperimentSuite = {
  program: PROGRAM,
  scales: SCALES.map(({ name }) => name),
  scoredByTraining: true,
  names: ['table3'],
  experiments: (name, change) => [table3(scaleOf(name), change)],
  backendOf: (name) => scaleOf(name).backend,
  quality: QUALITY,
  columns: COLUMNS,
  flopsOf(value) {
    const { train } = readTranslationConfig(value);
    return flopsPerToken(value) * train.steps * Math.max(train.batchTokens, train.updateTokens);
  },
  flopsPerToken,
  trainingFigures({ summary }) {
    const number = (key: string): number | undefined => numberAt(summary, key);
    const experts = Object.values((summary.expertsPerToken ?? {}) as Record<string, number>);
    return figuresThere({
      bleu: number('bleu'), chrf: number('chrf'), testLoss: number('testLoss'), processorSeconds: number('processorSeconds'), trainingSeconds: number('trainingSeconds'),
      ...(experts.length > 0 ? { expertsInUse: experts.reduce((sum, one) => sum + one, 0) / experts.length, executed: (number('executedFlops') ?? Number.NaN) / (number('budgetedFlops') ?? Number.NaN) } : {}),
    });
  },
  notes: (name) => (name === 'paper' ? [] : [`This is not the paper’s size: ${name === 'tiny' ? 'messages of an editor in five languages, of which de, ru and zh are the paper’s' : 'smaller models on the paper’s pairs'}. Published numbers are beside ours for their order, not their value.`]),
};

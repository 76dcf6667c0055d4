// A setting is a size of model on a corpus; from it and a few facts about the experts come the arms of experiments, with names that say
// what they are. Which arms are compared is in the files of the experiments.
import { resolve } from 'node:path';
import { readLanguageConfig } from '@xmoe/models';
import { scaledWarmup, type TrainingKeys } from '@xmoe/models/sections';
import type { JsonObject } from '@xmoe/files';
import type { Arm, ScaleChange } from '@xmoe/program/experiments';
import { corpusOfFiles, type Corpus, type ModelSize, type Scale } from './scales.js';

export interface Setting {
  readonly scale: Scale;
  readonly size: ModelSize;
  readonly corpus: Corpus;
  readonly train: JsonObject;
  /** For groups of rows. */
  readonly title: string;
}

/** All of them, in the order of their worth: the first size on the first corpus first. */
export function settingsOf(scale: Scale, { data: files, maxSteps }: ScaleChange): [Setting, ...Setting[]] {
  const corpora = files ? [corpusOfFiles(scale, files.map((file) => resolve(file)))] : scale.corpora;
  const settings = scale.sizes.flatMap((size, at) => corpora.slice(0, scale.fewer && at > 0 ? 1 : corpora.length).map((corpus): Setting => ({
    scale, size, corpus, train: stepsOf({ ...scale.train, ...corpus.train }, maxSteps), title: `${size.title}, ${corpus.title}`,
  })));
  return settings as [Setting, ...Setting[]];
}

/** Other steps, with the same share of warm-up. */
function stepsOf(train: JsonObject, steps: number | undefined): JsonObject {
  if (steps === undefined) return train;
  const preset = train as unknown as Pick<TrainingKeys, 'steps' | 'warmupSteps'>;
  return { ...train, steps, warmupSteps: scaledWarmup(preset, steps) };
}

/** Of the first size: one for each corpus. */
export const firstSize = (settings: readonly Setting[]): Setting[] => settings.filter(({ size }) => size === settings[0]!.size);

/** Experts relative to the dense layer: `finer` times smaller than it, 8 · `finer` of them. */
export interface ExpertFacts {
  readonly finer: number;
  readonly router: JsonObject & { readonly type: string };
  /** Default: `finer`, which costs as much as the dense layer. */
  readonly capacityFactor?: number;
  readonly dispatch?: 'padded' | 'grouped' | 'budget';
  /** Any other key of `moe`. */
  readonly more?: JsonObject;
}

/** The paper's number of experts of the dense layer's size. */
const COARSE_EXPERTS = 8;

export function expertArm(setting: Setting, { finer, router, capacityFactor = finer, dispatch = 'padded', more = {} }: ExpertFacts): Arm {
  const { hidden } = setting.size.model;
  return armOf(setting, { every: setting.scale.every, experts: COARSE_EXPERTS * finer, expertHidden: hidden / finer, router, dispatch, capacityFactor, ...more });
}

/** @param share of the hidden size; 1 is the paper's dense baseline */
export const denseArm = (setting: Setting, share = 1): Arm => armOf(setting, null, share);

/** The dense model trained as XMoE (Section 3.6): `parts` experts that make up the dense layer, t = 1, γ = N. */
export function splitArm(setting: Setting, parts: number): Arm {
  const { hidden } = setting.size.model;
  const moe = { every: setting.scale.every, experts: parts, expertHidden: hidden / parts, router: { type: 'threshold', threshold: 1 }, dispatch: 'padded', capacityFactor: parts, balanceCoefficient: 0 };
  return armOf(setting, moe);
}

/** What is learned of a split model, and by what. */
export interface Learned {
  readonly trained: 'router' | 'all';
  readonly recipe: 'distill' | 'paper';
}

/** Steps of a training that begins with a trained model, of those that made it. */
const SHARE_OF_STEPS = 0.05;

/** A trained dense model in `parts` experts (Section 3.6), whose router then learns in a twentieth of its steps: `convert --train`. */
export function taughtArm(setting: Setting, parts: number, { trained, recipe }: Learned): Arm {
  const from = denseArm(setting);
  const { hidden } = setting.size.model;
  const distilled = recipe === 'distill';
  const router = { type: 'threshold', threshold: distilled && trained === 'all' ? 0.8 : 1, ...(distilled ? { equalWeights: true } : {}) };
  const moe = { every: setting.scale.every, experts: parts, expertHidden: hidden / parts, router, dispatch: 'grouped', capacityFactor: parts, balanceCoefficient: 0, ...(distilled ? { distillCoefficient: 1 } : {}) };
  const { steps, learningRate } = setting.train as { steps: number; learningRate: number };
  const rate = trained === 'router' ? 0.01 : learningRate / 2;
  const train = { ...stepsOf(setting.train, Math.max(10, Math.round(steps * SHARE_OF_STEPS))), learningRate: rate, finalLearningRate: Number((rate / 10).toPrecision(6)), trainable: trained };
  const { name, config } = armOf({ ...setting, train }, moe);
  return { name: `${recipe}-${trained}-of-${name}`, config, from };
}

function armOf({ size, corpus, train }: Setting, moe: JsonObject | null, share = 1): Arm {
  const model = { ...size.model, hidden: size.model.hidden * share };
  const config: JsonObject = { model, moe, data: corpus.data, train };
  readLanguageConfig(config); // valid; kept as it is, so that a run is known by what its arm says and not by what else there is to say
  return { name: nameOf(config, corpus), config };
}

/** `threshold-32x64-padded-w64-sotu`: what tells most arms apart; the hash beside it tells all. */
function nameOf({ model, moe, data }: JsonObject, corpus: Corpus): string {
  const { width, hidden } = model as { width: number; hidden: number };
  const text = (data as { corpus?: string }).corpus ?? corpus.title.toLowerCase().replace(/[^a-z0-9]+/g, '-');
  if (moe === null) return `dense-${hidden}-w${width}-${text}`;
  const { experts, expertHidden, router, dispatch } = moe as { experts: number; expertHidden: number; router: { type: string }; dispatch: string };
  return `${router.type}-${experts}x${expertHidden}-${dispatch}-w${width}-${text}`;
}

// From a configuration to a language model, and to what one can say of it without running it.
import type { FeedForward } from '@xmoe/core';
import { createMoeFeedForward, type ExpertRanks, type RoutingTrace } from '@xmoe/moe';
import { createDenseFeedForward, createLanguageModel, type LanguageModel } from '@xmoe/nn';
import type { MemoryKnob, MemoryNeeds } from '../memory-needs.js';
import { activeExpertWeights, denseParameters, droplessExperts, expertParameters, expertSettings, parametersElsewhere } from '../sections/experts.js';
import { valuesOfRank } from '../sections/training.js';
import { createCountedFeedForward } from './counted-feed-forward.js';
import type { LanguageConfig } from './language-config.js';

export type XMoELanguageModel = LanguageModel<RoutingTrace>;

/** Whether layer `index` (1-based) has experts. */
export function languageLayerHasExperts({ moe }: Pick<LanguageConfig, 'moe'>, index: number): boolean {
  return moe !== null && index % moe.every === 0;
}

/** The configuration with experts that drop nothing, as evaluation and generation want it. */
export function droplessLanguageConfig(config: LanguageConfig): LanguageConfig {
  return config.moe ? { ...config, moe: droplessExperts(config.moe) } : config;
}

/** What of a configuration decides the model. */
export interface LanguageModelSections extends Pick<LanguageConfig, 'model' | 'moe'> {
  readonly train: Pick<LanguageConfig['train'], 'seed'>;
}

export interface LanguageModelOptions {
  /** Count hidden units above 0 wherever routing is collected, in dense layers too, which then have traces. Default: as `moe.trackPositive` says. */
  readonly countPositive?: boolean;
  /** Those that hold the experts together. Default: this process alone. */
  readonly experts?: ExpertRanks;
}

/** Builds the model, for any engine; parameters are made separately. */
export function createLanguageModelFromConfig(config: LanguageModelSections, vocabularySize: number, { countPositive = false, experts }: LanguageModelOptions = {}): XMoELanguageModel {
  const { model, moe } = config;
  return createLanguageModel<RoutingTrace>({
    vocabularySize,
    contextLength: model.contextLength,
    width: model.width,
    heads: model.heads,
    layers: model.layers,
    dropout: model.dropout,
    initStd: model.initStd,
    checkpointing: model.checkpointing,
    layerNormEpsilon: model.layerNormEpsilon,
    tiedEmbeddings: model.tiedEmbeddings,
    feedForward: ({ index, name, std, outputStd }): FeedForward<RoutingTrace> => {
      if (!moe || !languageLayerHasExperts(config, index)) {
        const createDense = countPositive ? createCountedFeedForward : createDenseFeedForward;
        return createDense({ name: `${name}.mlp`, width: model.width, hidden: model.hidden, activation: model.activation, std, outputStd });
      }
      const settings = expertSettings(moe, { vocabularySize, layer: index, seed: config.train.seed }, index / moe.every - 1);
      return createMoeFeedForward({ name: `${name}.moe`, width: model.width, activation: model.activation, initStd: std, outputStd, ...settings, ...(countPositive ? { trackPositive: true } : {}), ...(experts ? { ranks: experts } : {}) });
    },
  });
}

/** Of the tokenizer that the configuration asks for; a corpus too small for a BPE of that size gets a smaller one. */
export function languageVocabulary({ data: { tokenizer } }: LanguageConfig): number {
  return tokenizer.type === 'gpt2' ? 50257 : tokenizer.vocabularySize;
}

export interface LanguageModelSize {
  parameters: number;
  /** Parameters that one token uses at the budget: experts count γ·s of N·s hidden units. */
  activeParameters: number;
  /** Forward and backward FLOPs per token at the budget, attention over the full context included. */
  flopsPerToken: number;
  /** Bytes of weights, gradients and two moments in float32. */
  trainingBytes: number;
}

/** What a model of this configuration costs. Computed from the sizes alone: no model is made. */
export function languageModelSize(config: Pick<LanguageConfig, 'model' | 'moe'>, vocabularySize: number): LanguageModelSize {
  const { width, layers, contextLength, hidden, tiedEmbeddings } = config.model;
  let parameters = ((tiedEmbeddings ? 1 : 2) * vocabularySize + contextLength) * width + 2 * width; // embeddings and the last norm
  let active = vocabularySize * width; // the output projection; the input embedding is a look-up
  for (let index = 1; index <= layers; index++) {
    const expert = languageLayerHasExperts(config, index);
    parameters += 4 * width * width + 8 * width; // attention with its biases, and two norms
    parameters += expert ? expertParameters(config.moe!, width) : denseParameters(width, hidden);
    active += 4 * width * width;
    active += expert ? activeExpertWeights(config.moe!, width) : 2 * width * hidden;
  }
  // Causal attention: on average half of the context, for q·k and for p·v, forward once and backward twice.
  const attention = layers * 2 * contextLength * width;
  return { parameters, activeParameters: active, flopsPerToken: 6 * active + 3 * attention, trainingBytes: parameters * 16 };
}

/** Values of one row of one layer that wait for the backward pass: its input, or also both norms, queries, keys, values and the mixture. */
const keptPerRow = (width: number, checkpointing: boolean): number => width * (checkpointing ? 1 : 7);

/** Parameters that are on other ranks. */
function heldElsewhere(config: LanguageConfig): number {
  const { model: { layers, width }, moe, train } = config;
  const withExperts = Array.from({ length: layers }, (_, at) => at + 1).filter((index) => languageLayerHasExperts(config, index)).length;
  return moe ? withExperts * parametersElsewhere(moe, width, train.expertParallel) : 0;
}

/** What training takes of memory at least, of each of so many ranks, and what it depends on. */
export function languageMemoryNeeds(config: LanguageConfig, vocabularySize: number, ranks = 1): { needs: MemoryNeeds; knobs: MemoryKnob[] } {
  const needsOf = (other: LanguageConfig): MemoryNeeds => ({
    ...valuesOfRank(other.train, { values: languageModelSize(other, vocabularySize).parameters, elsewhere: heldElsewhere(other), ranks }),
    activations: other.train.batchSize * other.model.contextLength * other.model.layers * keptPerRow(other.model.width, other.model.checkpointing),
  });
  const { model, moe, train } = config;
  const ofModel = (key: 'width' | 'layers' | 'hidden' | 'contextLength'): MemoryKnob => ({
    name: `model.${key}`, value: model[key], needsWith: (value) => needsOf({ ...config, model: { ...model, [key]: value } }),
  });
  const ofExperts = (key: 'experts' | 'expertHidden'): MemoryKnob[] => moe ? [{ name: `moe.${key}`, value: moe[key], needsWith: (value) => needsOf({ ...config, moe: { ...moe, [key]: value } }) }] : [];
  return {
    needs: needsOf(config),
    knobs: [
      ofModel('width'), ofModel('layers'), ofModel('hidden'), ofModel('contextLength'), ...ofExperts('experts'), ...ofExperts('expertHidden'),
      { name: 'train.batchSize', value: train.batchSize, needsWith: (batchSize) => needsOf({ ...config, train: { ...train, batchSize } }) },
    ],
  };
}

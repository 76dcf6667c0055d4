// From a configuration to a translation model, and to what one can say of it without running it.
import type { FeedForward } from '@xmoe/core';
import { createMoeFeedForward, type ExpertRanks, type RoutingTrace } from '@xmoe/moe';
import { createDenseFeedForward, createEncoderDecoder, type EncoderDecoder } from '@xmoe/nn';
import type { MemoryKnob, MemoryNeeds } from '../memory-needs.js';
import { activeExpertWeights, denseParameters, droplessExperts, expertParameters, expertSettings, hasThreshold, parametersElsewhere } from '../sections/experts.js';
import { valuesOfRank } from '../sections/training.js';
import type { TranslationConfig } from './translation-config.js';

export type XMoETranslator = EncoderDecoder<RoutingTrace>;
export type SideName = 'encoder' | 'decoder';

/** Whether layer `index` (1-based) of a side has experts. */
export function translationLayerHasExperts({ moe }: TranslationConfig, side: SideName, index: number): boolean {
  return moe !== null && (moe.side === side || moe.side === 'both') && index % moe.every === 0;
}

/** What translates: experts that drop nothing, so that no sentence can push another's claims out, and the threshold of `decoding`. */
export function droplessTranslationConfig(config: TranslationConfig): TranslationConfig {
  const moe = droplessExperts(config.moe);
  const { threshold } = config.decoding;
  if (!moe || threshold === null || !hasThreshold(moe.router)) return { ...config, moe };
  return { ...config, moe: { ...moe, router: { ...moe.router, threshold } } as typeof moe };
}

/** Builds the model, for any engine; parameters are made separately. `experts`: the ranks that hold them together. Default: this process alone. */
export function createTranslationModelFromConfig(config: TranslationConfig, vocabularySize: number, experts?: ExpertRanks): XMoETranslator {
  const { model, moe } = config;
  return createEncoderDecoder<RoutingTrace>({
    vocabularySize,
    tiedEmbeddings: model.tiedEmbeddings,
    contextLength: model.contextLength,
    width: model.width,
    heads: model.heads,
    encoderLayers: model.encoderLayers,
    decoderLayers: model.decoderLayers,
    dropout: model.dropout,
    initStd: model.initStd,
    labelSmoothing: model.labelSmoothing,
    norm: model.norm,
    positions: model.positions,
    checkpointing: model.checkpointing,
    feedForward: ({ side, index, name, std, outputStd }): FeedForward<RoutingTrace> => {
      if (!moe || !translationLayerHasExperts(config, side, index)) {
        return createDenseFeedForward({ name: `${name}.mlp`, width: model.width, hidden: model.hidden, activation: model.activation, std, outputStd });
      }
      // Layers of the two sides have different random maps.
      const layer = side === 'encoder' ? index : model.encoderLayers + index;
      const settings = expertSettings(moe, { vocabularySize, layer, seed: config.train.seed });
      return createMoeFeedForward({ name: `${name}.moe`, width: model.width, activation: model.activation, initStd: std, outputStd, ...settings, ...(experts ? { ranks: experts } : {}) });
    },
  });
}

/** Of the tokenizer that the configuration asks for; null for a file of which it does not say, which is not read here. */
export function translationVocabulary({ data: { tokenizer } }: TranslationConfig): number | null {
  return tokenizer.vocabularySize ?? null;
}

export interface TranslationModelSize {
  parameters: number;
  /** Weights that a source token meets in the encoder, and in the decoder as keys and values of cross-attention. */
  activePerSource: number;
  /** Weights that a target token meets, the output projection among them. Experts count γ·s of N·s hidden units. */
  activePerTarget: number;
  /** Forward and backward FLOPs of a pair of `length` source and as many target tokens, divided by `length`; attention included. */
  flopsPerPairToken(length: number): number;
  /** Bytes of weights, gradients and two moments in float32. */
  trainingBytes: number;
}

/** What a model of this configuration costs. Computed from the sizes alone: no model is made. */
export function translationModelSize(config: TranslationConfig, vocabularySize: number): TranslationModelSize {
  const { width, hidden, encoderLayers, decoderLayers } = config.model;
  const feedForward = (side: SideName, layers: number): number =>
    Array.from({ length: layers }, (_, at) => (translationLayerHasExperts(config, side, at + 1) ? activeExpertWeights(config.moe!, width) : 2 * width * hidden))
      .reduce((sum, weights) => sum + weights, 0);
  const parameters = countWeights(config, vocabularySize);
  // Self-attention has four matrices d × d. Of cross-attention, keys and values are computed once per source token.
  const activePerSource = encoderLayers * 4 * width ** 2 + feedForward('encoder', encoderLayers) + decoderLayers * 2 * width ** 2;
  const activePerTarget = decoderLayers * 6 * width ** 2 + feedForward('decoder', decoderLayers) + vocabularySize * width;
  return {
    parameters,
    activePerSource,
    activePerTarget,
    // q·k and p·v, 2 FLOPs per multiplication: whole sentences in the encoder and across, half on average in the causal decoder.
    flopsPerPairToken: (length) => 6 * (activePerSource + activePerTarget) + 3 * 4 * width * length * (encoderLayers + 1.5 * decoderLayers),
    trainingBytes: parameters * 16,
  };
}

function countWeights(config: TranslationConfig, vocabularySize: number): number {
  const { width, hidden, encoderLayers, decoderLayers, tiedEmbeddings, positions, contextLength, norm } = config.model;
  const side = (name: SideName, layers: number, attentions: number): number => {
    // Positions and the last norm; in a layer its attentions with their biases, a norm for each and for the feed-forward.
    let sum = (positions === 'learned' ? contextLength * width : 0) + (norm === 'pre' ? 2 * width : 0);
    for (let index = 1; index <= layers; index++) {
      sum += attentions * (4 * width * width + 4 * width) + (attentions + 1) * 2 * width;
      sum += translationLayerHasExperts(config, name, index) ? expertParameters(config.moe!, width) : denseParameters(width, hidden);
    }
    return sum;
  };
  return (tiedEmbeddings === 'all' ? 1 : 2) * vocabularySize * width + side('encoder', encoderLayers, 1) + side('decoder', decoderLayers, 2);
}

/** Parameters that are on other ranks. */
function heldElsewhere(config: TranslationConfig): number {
  const { model: { encoderLayers, decoderLayers, width }, moe, train } = config;
  const layersOf = (side: SideName, layers: number): number => Array.from({ length: layers }, (_, at) => at + 1).filter((index) => translationLayerHasExperts(config, side, index)).length;
  return moe ? (layersOf('encoder', encoderLayers) + layersOf('decoder', decoderLayers)) * parametersElsewhere(moe, width, train.expertParallel) : 0;
}

/** What training takes of memory at least, of each of so many ranks, and what it depends on. Of activations the input of each layer alone is counted. */
export function translationMemoryNeeds(config: TranslationConfig, vocabularySize: number, ranks = 1): { needs: MemoryNeeds; knobs: MemoryKnob[] } {
  const needsOf = (other: TranslationConfig): MemoryNeeds => ({
    ...valuesOfRank(other.train, { values: countWeights(other, vocabularySize), elsewhere: heldElsewhere(other), ranks }),
    activations: other.train.batchTokens * other.model.width * Math.max(other.model.encoderLayers, other.model.decoderLayers),
  });
  const { model, moe, train } = config;
  const ofModel = (key: 'width' | 'encoderLayers' | 'decoderLayers' | 'hidden'): MemoryKnob => ({
    name: `model.${key}`, value: model[key], needsWith: (value) => needsOf({ ...config, model: { ...model, [key]: value } }),
  });
  const ofExperts = (key: 'experts' | 'expertHidden'): MemoryKnob[] => moe ? [{ name: `moe.${key}`, value: moe[key], needsWith: (value) => needsOf({ ...config, moe: { ...moe, [key]: value } }) }] : [];
  return {
    needs: needsOf(config),
    knobs: [
      ofModel('width'), ofModel('encoderLayers'), ofModel('decoderLayers'), ofModel('hidden'), ...ofExperts('experts'), ...ofExperts('expertHidden'),
      { name: 'train.batchTokens', value: train.batchTokens, needsWith: (batchTokens) => needsOf({ ...config, train: { ...train, batchTokens } }) },
    ],
  };
}

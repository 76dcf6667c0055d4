// From a configuration to a language model, and to what one can say of it without running it.
import { countParameters, type Engine, type FeedForward } from '@xmoe/core';
import { createMoeFeedForward, type RoutingTrace } from '@xmoe/moe';
import { createDenseFeedForward, createLanguageModel, type LanguageModel } from '@xmoe/nn';
import { activeExpertWeights, expertSettings } from '@xmoe/train/program';
import type { Config } from './config.js';

export type XMoELanguageModel = LanguageModel<RoutingTrace>;

/** Whether layer `index` (1-based) has experts. */
export function hasExperts(config: Config, index: number): boolean {
  return config.moe !== null && index % config.moe.every === 0;
}

/** Builds the model; parameters are made separately. */
export function buildModel(engine: Engine, config: Config, vocabularySize: number): XMoELanguageModel {
  const { model, moe } = config;
  return createLanguageModel<RoutingTrace>(engine, {
    vocabularySize,
    contextLength: model.contextLength,
    width: model.width,
    heads: model.heads,
    layers: model.layers,
    dropout: model.dropout,
    initStd: model.initStd,
    checkpointing: model.checkpointing,
    feedForward: ({ index, name, std, outputStd }): FeedForward<RoutingTrace> => {
      if (!moe || !hasExperts(config, index)) {
        return createDenseFeedForward({ name: `${name}.mlp`, width: model.width, hidden: model.hidden, activation: model.activation, std, outputStd });
      }
      const settings = expertSettings(moe, { vocabularySize, layer: index, seed: config.train.seed });
      return createMoeFeedForward({ name: `${name}.moe`, width: model.width, activation: model.activation, initStd: std, outputStd, ...settings });
    },
  });
}

export interface ModelSize {
  parameters: number;
  /** Parameters that one token uses at the budget: experts count γ·s of N·s hidden units. */
  activeParameters: number;
  /** Forward and backward FLOPs per token at the budget, attention over the full context included. */
  flopsPerToken: number;
  /** Bytes of weights, gradients and two moments in float32. */
  trainingBytes: number;
}

/** What a model of this configuration costs. */
export function modelSize(config: Config, model: XMoELanguageModel, vocabularySize: number): ModelSize {
  const { width, layers, contextLength, hidden } = config.model;
  const parameters = countParameters(model.parameters);
  let active = vocabularySize * width; // the output projection; the input embedding is a look-up
  for (let index = 1; index <= layers; index++) {
    active += 4 * width * width;
    active += hasExperts(config, index) ? activeExpertWeights(config.moe!, width) : 2 * width * hidden;
  }
  // Causal attention: on average half of the context, for q·k and for p·v, forward once and backward twice.
  const attention = layers * 2 * contextLength * width;
  return { parameters, activeParameters: active, flopsPerToken: 6 * active + 3 * attention, trainingBytes: parameters * 16 };
}

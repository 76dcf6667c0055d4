// The shape of one of our models for PyTorch: model_torch.py builds it.
import type { LanguageConfig } from '@xmoe/models';
import type { TorchModel } from './torch.js';

export function torchModel({ model, moe, train }: LanguageConfig, vocabulary: number): TorchModel {
  const { layers, width, heads, hidden, contextLength: length } = model;
  const experts = moe ? { experts: moe.experts, expertHidden: moe.expertHidden, k: Math.round(moe.capacityFactor), every: moe.every } : {};
  return { layers, width, heads, hidden, vocabulary, length, batch: train.batchSize, dtype: train.precision, ...experts };
}

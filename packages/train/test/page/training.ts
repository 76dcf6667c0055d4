// What a page does with the entries for browsers: learns a tokenizer, reads a configuration, trains a small model on the plain CPU engine,
// stores its weights and reads them back. Bundled by test/browser-entries.test.ts.
import { createCpuBackend } from '@xmoe/backend-cpu';
import { createEngine, initializeParameters, randomKey } from '@xmoe/core';
import { parseJson, type JsonObject } from '@xmoe/files';
import { createMoeFeedForward, type RoutingTrace } from '@xmoe/moe';
import { createLanguageModel, type LanguageModelBatch } from '@xmoe/nn';
import { createArraySplit, createBatchSampler, tokenizerFromJson, tokenizerToJson, trainBpe, type TokenBatch } from '@xmoe/text';
import { createTrainer, decodeSafetensors, encodeSafetensors, mergeOverrides, parseConfig } from '@xmoe/train';
import { z } from 'zod';

const schema = z.object({ steps: z.int().positive(), batch: z.int().positive(), length: z.int().positive() });

export async function trainInPage() {
  const { steps, batch, length } = parseConfig(schema, mergeOverrides(parseJson('{"steps": 4, "batch": 2, "length": 8}', { where: 'page' }) as JsonObject, { set: ['steps=12'] }), { where: 'page' });
  const text = 'the cat sat on the mat, the cat sat on the mat. '.repeat(20);
  const tokenizer = tokenizerFromJson(tokenizerToJson(trainBpe([text], { vocabularySize: 270 })));
  const tokens = tokenizer.encode(text);
  const sampler = createBatchSampler({ split: createArraySplit(tokens), batchSize: batch, sequenceLength: length, seed: 1 });

  const engine = createEngine(createCpuBackend());
  const model = createLanguageModel<RoutingTrace>({
    vocabularySize: tokenizer.vocabularySize, contextLength: length, width: 8, heads: 2, layers: 1, dropout: 0, initStd: 0.2,
    feedForward: ({ name, std, outputStd }) => createMoeFeedForward({
      name: `${name}.moe`, width: 8, hidden: 8, experts: 2, router: { type: 'threshold', threshold: 0.7 }, dispatch: 'grouped', initStd: std, outputStd,
    }),
  });
  const parameters = initializeParameters(engine, model.parameters, randomKey(1));
  const inputs = engine.zeros([batch * length], 'int32').keep();
  const targets = engine.zeros([batch * length], 'int32').keep();
  const trainer = createTrainer<TokenBatch, LanguageModelBatch, RoutingTrace>({
    engine, specs: model.parameters, parameters, seed: 1, computeDType: 'float32',
    optimizer: { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0, clipNorm: 1 },
    schedule: { type: 'cosine', peak: 0.05, final: 0.01, warmupSteps: 1, totalSteps: steps },
    upload(data) {
      inputs.write(data.inputs);
      targets.write(data.targets);
      return { shape: { batch, length }, inputs, targets };
    },
    countTargets: (data) => data.targets.length,
    loss: model.loss,
    summarizeTrace: () => Promise.reject(new Error('nobody asked')),
  });
  const losses: number[] = [];
  for (let step = 0; step < steps; step++) losses.push((await trainer.step([sampler.next()], { collectRouting: false })).loss);
  const { parameters: trained } = await trainer.tensors();
  const { tensors } = decodeSafetensors(encodeSafetensors(trained));
  return { text: tokenizer.decode(tokenizer.encode('the cat sat on the mat')), hash: tokenizer.hash, losses, stored: tensors.map(({ name }) => name) };
}

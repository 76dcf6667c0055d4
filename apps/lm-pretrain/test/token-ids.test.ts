// Ids that the model does not have are refused on the way to the device, in training and in evaluation.
import { createCpuBackend } from '@xmoe/backend-cpu';
import { createEngine, initializeParameters, randomKey } from '@xmoe/core';
import { createLanguageModelFromConfig, createLanguageModelTrainer, routingReader } from '@xmoe/models';
import { createArraySplit, trainBpe } from '@xmoe/text';
import { afterAll, describe, expect, it } from 'vitest';
import { configs } from '../src/config.js';
import { evaluate } from '../src/evaluate.js';
import { smallTexts } from './support.js';

const engine = createEngine(createCpuBackend());
afterAll(() => engine.dispose());
const flags = { 'context-length': '8', width: '16', heads: '2', hidden: '16', experts: '4', 'expert-hidden': '8', 'batch-size': '1' };
const config = await configs.resolve({ preset: 'tiny', flags });
const tokenizer = trainBpe(smallTexts(3), { vocabularySize: 280 });
const model = createLanguageModelFromConfig(config, tokenizer.vocabularySize);
const parameters = initializeParameters(engine, model.parameters, randomKey(1));

describe('ids beyond the vocabulary', () => {
  it.each(['inputs', 'targets'] as const)('are refused in %s of a training batch', async (side) => {
    const trainer = createLanguageModelTrainer(engine, config, model, parameters);
    const batch = { inputs: new Int32Array(8), targets: new Int32Array(8) };
    batch[side][5] = tokenizer.vocabularySize;
    await expect(trainer.step([batch], { collectRouting: false })).rejects.toThrow(`${side}[5] is 280: no id of a vocabulary of 280`);
    trainer.dispose();
  });

  it('are refused in a split that is scored', async () => {
    const split = createArraySplit([1, 2, 3, 280, 5], { name: 'test' });
    const options = { engine, model, parameters, split, tokenizer, batchSize: 1, computeDType: 'float32', summarizeTrace: routingReader(config, 1) } as const;
    await expect(evaluate(options)).rejects.toThrow('inputs[3] is 280');
  });
});

// A language model with threshold-routed experts from text to sample, every step in sight: data, model, loss, gradient, optimiser, checkpoint,
// text. From this repository: node --conditions=@xmoe/source --import tsx examples/train-a-model.ts [TEXT] [WEIGHTS]. TEXT: a file, or '' for a few
// sentences; WEIGHTS: the file that the weights go to, by default one in a new folder for temporary files.
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createWasmBackend } from '@xmoe/backend-cpu';
import { createEngine, foldIn, initializeParameters, randomKey, valueAndGrad, type ForwardContext } from '@xmoe/core';
import { replaceFile } from '@xmoe/files/node';
import { createMoeFeedForward } from '@xmoe/moe';
import { continueTexts, createAdamW, createLanguageModel, learningRateAt } from '@xmoe/nn';
import { createArraySplit, createBatchSampler, trainBpe } from '@xmoe/text';
import { encodeSafetensors } from '@xmoe/train';

const [width, length, batchSize, steps] = [32, 32, 8, 60];
const text = process.argv[2] ? readFileSync(process.argv[2], 'utf8') : 'The cat sat on the mat, and the dog sat on the cat. '.repeat(200);

// Data: text → tokens → batches of windows.
const tokenizer = trainBpe([text], { vocabularySize: 280 });
const sampler = createBatchSampler({ split: createArraySplit(tokenizer.encode(text)), batchSize, sequenceLength: length, seed: 1 });

// Model: a Transformer whose feed-forward layers are experts; a token takes as many as its threshold asks for.
const engine = createEngine(await createWasmBackend());
const model = createLanguageModel({
  vocabularySize: tokenizer.vocabularySize, contextLength: length, width, heads: 4, layers: 2, dropout: 0, initStd: 0.1,
  feedForward: ({ name, std, outputStd }) => createMoeFeedForward({ name: `${name}.moe`, width, hidden: 32, experts: 4, router: { type: 'threshold', threshold: 0.8 }, dispatch: 'grouped', initStd: std, outputStd }),
});
const parameters = initializeParameters(engine, model.parameters, randomKey(1));
const adam = createAdamW(engine, model.parameters, { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.01, clipNorm: 1 });

// Loop: a batch, its loss and gradients, a step of the optimiser. What a step makes beside the parameters is freed at the end of its scope.
for (let step = 1; step <= steps; step++) {
  const { inputs, targets } = sampler.next();
  const learningRate = learningRateAt({ type: 'cosine', peak: 0.02, final: 0.002, warmupSteps: 5, totalSteps: steps }, step);
  const loss = engine.scope(() => {
    const batch = { shape: { batch: batchSize, length }, inputs: engine.tensor(inputs), targets: engine.tensor(targets) };
    const context: ForwardContext = { training: true, key: engine.key(foldIn(randomKey(2), step)), computeDType: 'float32', tokenIds: null, mask: null, collect: 'nothing' };
    const result = valueAndGrad(engine, (weights) => model.loss(weights, batch, context).loss, parameters);
    adam.step(parameters, result.gradients, { learningRate, step });
    return result.loss;
  });
  if (step === 1 || step % 10 === 0) console.log(`step ${step}: loss ${(await loss.item()).toFixed(3)}`);
  loss.dispose();
}

// Checkpoint: a file that safetensors reads anywhere.
const tensors = Object.entries(parameters).map(async ([name, tensor]) => ({ name, dtype: 'float32' as const, shape: [...tensor.shape], data: await tensor.data() as Float32Array }));
const weightsPath = process.argv[3] ?? join(mkdtempSync(join(tmpdir(), 'xmoe-')), 'model.safetensors');
await replaceFile(weightsPath, encodeSafetensors(await Promise.all(tensors)));
console.log(`weights: ${weightsPath}`);

// Sample: token by token, with cached keys and values.
const tokens = [...tokenizer.encode('The')];
const sampling = { maxTokens: 30, endToken: tokenizer.endOfText, keys: [randomKey(3)], temperature: 0.5, topK: 0, topP: 1 };
for await (const [token] of continueTexts({ engine, model, parameters }, [tokens.slice()], sampling)) if (token !== null) tokens.push(token!);
console.log(tokenizer.decode(tokens));
engine.dispose();

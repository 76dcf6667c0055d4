// In a page: learns a tokenizer, trains a small XMoE language model on the visitor's CPU, and gives its weights as a file. Vite, webpack and
// esbuild take it as it is, and so does Node: node examples/in-a-page.mjs. On a GPU: `trainInPage(createWebGpuBackend)`.
import { createWasmBackend } from '@xmoe/backend-cpu';
import { createEngine, foldIn, initializeParameters, randomKey, valueAndGrad } from '@xmoe/core';
import { createMoeFeedForward } from '@xmoe/moe';
import { createAdamW, createLanguageModel } from '@xmoe/nn';
import { createArraySplit, createBatchSampler, trainBpe } from '@xmoe/text';
import { encodeSafetensors } from '@xmoe/train';

const TEXT = 'the cat sat on the mat and the dog sat on the cat. '.repeat(40);
const [width, contextLength, batchSize, steps] = [16, 16, 4, 20];

/** Trains 20 steps on what `open` opens. */
export async function trainInPage(open = createWasmBackend) {
  const tokenizer = trainBpe([TEXT], { vocabularySize: 280 });
  const sampler = createBatchSampler({ split: createArraySplit(tokenizer.encode(TEXT)), batchSize, sequenceLength: contextLength, seed: 1 });
  const engine = createEngine(await open());
  const model = createLanguageModel({
    vocabularySize: tokenizer.vocabularySize, contextLength, width, heads: 2, layers: 1, dropout: 0, initStd: 0.1,
    feedForward: ({ name, std, outputStd }) => createMoeFeedForward({
      name: `${name}.moe`, width, hidden: 16, experts: 4, router: { type: 'threshold', threshold: 0.8 }, dispatch: 'budget', capacityFactor: 2, initStd: std, outputStd,
    }),
  });
  const parameters = initializeParameters(engine, model.parameters, randomKey(1));
  const adam = createAdamW(engine, model.parameters, { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.01, clipNorm: 1 });

  const losses = [];
  for (let step = 1; step <= steps; step++) {
    const { inputs, targets } = sampler.next();
    const loss = engine.scope(() => {
      const batch = { shape: { batch: batchSize, length: contextLength }, inputs: engine.tensor(inputs), targets: engine.tensor(targets) };
      const context = { training: true, key: engine.key(foldIn(randomKey(2), step)), computeDType: 'float32', tokenIds: null, mask: null, collect: 'nothing' };
      const result = valueAndGrad(engine, (weights) => model.loss(weights, batch, context), parameters);
      adam.step(parameters, result.gradients, { learningRate: 0.02, step });
      return result.loss;
    });
    losses.push(await loss.item());
    loss.dispose();
  }
  const weights = await Promise.all(Object.entries(parameters).map(async ([name, tensor]) => ({ name, dtype: tensor.dtype, shape: [...tensor.shape], data: await tensor.data() })));
  const file = encodeSafetensors(weights); // what the page offers for download
  const { description } = engine.backend;
  engine.dispose();
  return { description, losses, tokens: [...tokenizer.encode('the cat')], file };
}

const { description, losses, file } = await trainInPage();
const text = `${description}: loss ${losses[0].toFixed(3)} → ${losses.at(-1).toFixed(3)} in ${losses.length} steps, ${file.length} bytes of weights`;
const { document } = globalThis;
if (document) document.body.textContent = text;
else console.log(text);

// One mixture-of-experts layer on tensors: forward, losses of routing, gradients. Run it with: node examples/layer.mjs
import { createCpuBackend } from '@xmoe/backend-cpu';
import { createEngine, initializeParameters, mean, randomKey, square, valueAndGrad } from '@xmoe/core';
import { createMoeFeedForward, summarizeTrace } from '@xmoe/moe';

const engine = createEngine(createCpuBackend());
const layer = createMoeFeedForward({
  name: 'moe', width: 16, hidden: 8, experts: 8, initStd: 0.2, router: { type: 'threshold', threshold: 0.9 }, dispatch: 'budget', capacityFactor: 2,
});
const parameters = initializeParameters(engine, layer.parameters, randomKey(1));
const x = engine.tensor(Float32Array.from({ length: 32 * 16 }, (_, i) => Math.sin(i)), [32, 16]); // [T, d]

const context = { training: true, key: null, computeDType: 'float32', tokenIds: null, mask: null, collect: 'statistics' };
const { loss, aux, gradients } = valueAndGrad(engine, (weights) => {
  const { output, trace } = layer.apply(weights, x, context);
  return { loss: mean(square(output)), aux: trace };
}, parameters);

const summary = await summarizeTrace(aux);
console.log(JSON.stringify({ loss: await loss.item(), gradients: Object.keys(gradients), summary }));
engine.dispose();

// What a page does with the packages, and Node for comparison: conformance cases, and training of a small model. Plain
// JavaScript, so that the browser gets it as it is; nothing of Node and nothing of a page.
import { createWasmBackend } from '@xmoe/backend-cpu';
import { createWebGpuBackend } from '@xmoe/backend-webgpu';
import { createEngine, DTYPES, foldIn, hostUniform, initializeParameters, randomKey, valueAndGrad } from '@xmoe/core';
import { createMoeFeedForward } from '@xmoe/moe';
import { createAdamW, createDenseFeedForward, createLanguageModel } from '@xmoe/nn';
import { runConformance } from '@xmoe/testing';

/** Larger cases take seconds; the paths of the kernels are all in the others. WebGPU compiles every kernel and reads far more slowly. */
const LIMITS = { 'cpu:wasm': { maxElements: 20_000 }, webgpu: { maxElements: 500, variants: 'native' } };

/** Of the cases of each primitive, which are run: every so many. On WebGPU Node runs all, with the same kernels; a software GPU compiles for minutes. */
const EVERY = { 'cpu:wasm': 1, webgpu: 4 };

/** The CPU engine, or WebGPU with `backend: 'webgpu'`. */
const open = ({ backend, ...options }) => (backend === 'webgpu' ? createWebGpuBackend(options) : createWasmBackend(options));

/** Runs conformance cases that the backend has the dtypes for. Returns how many, and what is wrong. */
export async function conformance(options) {
  const backend = await open(options);
  const every = EVERY[backend.name];
  const tests = [];
  let group = '';
  let inGroup = 0;
  const framework = {
    describe(name, body) {
      const outer = group;
      group = `${group}${name} > `;
      inGroup = 0;
      body();
      group = outer;
    },
    it(name, body) {
      if (inGroup++ % every === 0) tests.push([`${group}${name}`, body]);
    },
    expect: (actual) => ({
      toEqual(expected) {
        if (JSON.stringify(actual) !== JSON.stringify(expected)) throw new Error(JSON.stringify(actual));
      },
    }),
  };
  const dtypes = DTYPES.filter((dtype) => dtype !== 'float16' || backend.capabilities.float16);
  // Fused primitives that WebGPU leaves to others have cases there; which are its own, its tests in Node say.
  const own = backend.name === 'webgpu' ? { primitives: Object.keys(backend.kernels) } : {};
  runConformance(framework, backend.name, () => backend, { dtypes, ...own, ...LIMITS[backend.name] });
  const problems = [];
  for (const [name, body] of tests) {
    try {
      await body();
    } catch (error) {
      problems.push(`${name}: ${error.message}`);
    }
  }
  return { count: tests.length, problems, description: backend.description };
}

const [V, B, T, d] = [29, 4, 32, 64];
const STEPS = 20;

function modelOn() {
  return createLanguageModel({
    vocabularySize: V, contextLength: T, width: d, heads: 4, layers: 2, dropout: 0.1, initStd: 0.05,
    feedForward: ({ index, name, std, outputStd }) =>
      index === 2
        ? createMoeFeedForward({
            name: `${name}.moe`, width: d, hidden: 48, experts: 8, router: { type: 'threshold', threshold: 0.8 }, dispatch: 'grouped',
            capacityFactor: 2, initStd: std, outputStd,
          })
        : createDenseFeedForward({ name: `${name}.mlp`, width: d, hidden: 4 * d, activation: 'gelu-tanh', std, outputStd }),
  });
}

/** Sequences in which each token follows from the one before. */
function batchAt(engine, step) {
  const rows = Array.from(hostUniform(foldIn(randomKey(5), step), B), (start) => {
    const row = [Math.floor(start * V)];
    while (row.length <= T) row.push((row.at(-1) * 2 + 3) % V);
    return row;
  });
  const grid = (from) => engine.tensor(Int32Array.from(rows.flatMap((row) => row.slice(from, from + T))), [B * T], 'int32');
  return { shape: { batch: B, length: T }, inputs: grid(0), targets: grid(1) };
}

/** Trains 20 steps. Returns the losses, and what computed them. */
export async function train(options) {
  const engine = createEngine(await open(options));
  const model = modelOn();
  const parameters = initializeParameters(engine, model.parameters, randomKey(42));
  const optimizer = createAdamW(engine, model.parameters, { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, clipNorm: 1 });
  const losses = [];
  for (let step = 1; step <= STEPS; step++) {
    const loss = engine.scope(() => {
      const key = engine.key(foldIn(randomKey(7), step));
      const context = { training: true, key, computeDType: 'float32', tokenIds: null, mask: null, collect: 'nothing' };
      const batch = batchAt(engine, step);
      const result = valueAndGrad(engine, (weights) => model.loss(weights, batch, context), parameters);
      optimizer.step(parameters, result.gradients, { learningRate: 0.01, step });
      return result.loss;
    });
    losses.push(await loss.item());
    loss.dispose();
  }
  const { description } = engine.backend;
  engine.dispose();
  return { losses, description };
}

/** The error of a backend that cannot be made. */
export async function failure(options) {
  try {
    const backend = await open(options);
    backend.dispose();
    return null;
  } catch (error) {
    return { name: error.name, code: error.code, message: error.message, hint: error.hint };
  }
}

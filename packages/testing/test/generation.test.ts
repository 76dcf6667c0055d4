// Generation with cached keys and values on every backend that runs here. What is tested is in generation-suite.ts.
import { createCpuBackend, createWasmBackend } from '@xmoe/backend-cpu';
import { createTfjsBackendFor } from '@xmoe/backend-tfjs/node';
import { createWebGpuBackend } from '@xmoe/backend-webgpu';
import { createEngine, initializeParameters, randomKey, type Backend, type ForwardContext } from '@xmoe/core';
import { createDenseFeedForward, createLanguageModel, type DecodedPosition } from '@xmoe/nn';
import { describe, expect, it } from 'vitest';
import { webGpuAdapter } from '../../backend-webgpu/test/adapter.js';
import { describeGeneration } from './generation-suite.js';

const adapter = await webGpuAdapter();

describeGeneration('cpu:plain', () => createCpuBackend());
describeGeneration('cpu:wasm', () => createWasmBackend());
describeGeneration('tfjs:wasm', () => createTfjsBackendFor('wasm'));
describeGeneration('tfjs:cpu', () => createTfjsBackendFor('cpu'));
describe.runIf(adapter.available)('with an adapter', () => describeGeneration('webgpu', () => createWebGpuBackend()));

describe('keys and values written in place', () => {
  const [V, STEPS] = [29, 36];
  const context: ForwardContext = { training: false, key: null, computeDType: 'float32', tokenIds: null, mask: null, collect: 'nothing' };
  const model = createLanguageModel({
    vocabularySize: V, contextLength: 48, width: 32, heads: 2, layers: 2, dropout: 0, initStd: 0.4,
    feedForward: ({ name, std, outputStd }) => createDenseFeedForward({ name: `${name}.mlp`, width: 32, hidden: 64, activation: 'gelu-tanh', std, outputStd }),
  });

  /** Logits of two texts that go on from beginnings of unequal length, and of both once more on another way; how often keys were copied. */
  async function generate(backend: Backend): Promise<{ logits: number[][]; copies: number }> {
    const engine = createEngine(backend);
    const parameters = initializeParameters(engine, model.parameters, randomKey(42));
    const logits: number[][] = [];
    let copies = 0;
    const step = async (from: DecodedPosition, token: number): Promise<DecodedPosition> => {
      const next = model.decodeStep(parameters, from.state, engine.tensor(Int32Array.of(token % V, (3 * token) % V)), context);
      if (next.state.past[0]!.k !== from.state.past[0]!.k) copies++;
      logits.push(Array.from(await model.logits(parameters, next.x).data()));
      return next;
    };
    let at = model.startDecoding(parameters, { shape: { batch: 2, length: 4 }, tokens: engine.tensor(Int32Array.of(3, 1, 4, 1, 5, 0, 0, 0)), lengths: [4, 1] }, context);
    for (let token = 0; token < STEPS; token++) {
      const before = at;
      at = await step(before, token);
      // Another way from the same state, which must not show on the first.
      if (token === 2 || token === 30) await step(await step(before, token + 5), 7);
    }
    engine.dispose();
    return { logits, copies };
  }

  it.each([['cpu:plain', () => createCpuBackend()], ['cpu:wasm', () => createWasmBackend({ threads: 2 })]] as const)('%s: the bits of appending to copies', async (_, open) => {
    const backend = await open();
    const { addRows, ...others } = backend.kernels;
    expect(addRows).toBeDefined();
    const appended = await generate({ ...backend, kernels: others });
    const inPlace = await generate(await open());
    expect(inPlace.logits).toEqual(appended.logits);
    expect(appended.copies).toBe(STEPS + 4);
    expect(inPlace.copies).toBe(2 + 2); // room made and made again, and by each of the other ways
  });
});

// Nothing of later tokens in evaluation: with the end of a sequence changed, what comes out before is the same to the bit, for every router of
// the table, with states as training leaves them. And padded dispatch, which looks ahead, is seen to.
import { createCpuBackend, createWasmBackend } from '@xmoe/backend-cpu';
import { createEngine, hostUniform, initializeParameters, isTrained, randomKey, type Engine, type Parameters } from '@xmoe/core';
import { createLanguageModelFromConfig, readLanguageConfig } from '@xmoe/models';
import { replaceRouter } from '../src/sections/experts.js';
import { ROUTER_TYPES } from '@xmoe/routers/by-name';
import { describe, expect, it } from 'vitest';

const [length, changedFrom, vocabulary] = [24, 18, 40];
const tokens = Int32Array.from(hostUniform(randomKey(2), length), (u) => Math.floor(u * vocabulary));
const changed = tokens.map((token, at) => (at < changedFrom ? token : (token + 11) % vocabulary));

function configOf(router: string, dispatch: string) {
  const base = {
    model: { contextLength: length, width: 16, heads: 2, layers: 2, hidden: 32, initStd: 0.3 },
    moe: { every: 1, experts: 8, expertHidden: 8, router: { type: 'base' }, dispatch, capacityFactor: 2, minCapacity: 1 },
    data: { tokenizer: { type: 'bpe', vocabularySize: 300 } },
    train: { steps: 1, batchSize: 1, learningRate: 0.001, finalLearningRate: 0.001, warmupSteps: 0, evalEvery: 1, evalWindows: 1, checkpointEvery: 1 },
  };
  return readLanguageConfig(replaceRouter(base, router));
}

/** Logits after each of some tokens before those that were changed. */
async function logitsBefore(engine: Engine, router: string, dispatch: string, ids: Int32Array): Promise<number[]> {
  const model = createLanguageModelFromConfig(configOf(router, dispatch), vocabulary);
  const drawn = initializeParameters(engine, model.parameters, randomKey(5));
  // States are all equal at first: other ones, as training leaves them.
  const parameters: Parameters = Object.fromEntries(model.parameters.map((spec) => {
    const tensor = drawn[spec.name]!;
    return [spec.name, isTrained(spec) ? tensor : engine.tensor(hostUniform(randomKey(6), tensor.size).map((u) => 0.3 + 0.2 * u), tensor.shape)];
  }));
  const context = { training: false, key: null, computeDType: 'float32', tokenIds: null, mask: null, collect: 'nothing' } as const;
  const found: number[] = [];
  for (const position of [0, 7, changedFrom - 1]) {
    const logits = engine.scope(() => model.logitsAt(parameters, engine.tensor(ids), { batch: 1, length }, position, context));
    found.push(...(await logits.data()));
  }
  return found;
}

describe.each([['cpu', () => createCpuBackend()], ['cpu:wasm', () => createWasmBackend({ threads: 1 })]] as const)('on %s', (_name, create) => {
  it.each(ROUTER_TYPES)('%s', async (router) => {
    const engine = createEngine(await create());
    try {
      const [before, after] = [await logitsBefore(engine, router, 'grouped', tokens), await logitsBefore(engine, router, 'grouped', changed)];
      expect(after).toEqual(before);
      expect(new Set(before).size).toBeGreaterThan(vocabulary);
    } finally {
      engine.dispose();
    }
  });

  it('padded dispatch looks ahead', async () => {
    const engine = createEngine(await create());
    try {
      expect(await logitsBefore(engine, 'threshold', 'padded', changed)).not.toEqual(await logitsBefore(engine, 'threshold', 'padded', tokens));
    } finally {
      engine.dispose();
    }
  });
});

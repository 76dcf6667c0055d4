// Golden data and training on TensorFlow's own library (tfjs:node), where it is built: the numbers of every backend, and losses as on the CPU.
import { describe, expect, it } from 'vitest';
import { createCpuBackend } from '@xmoe/backend-cpu';
import { createTfjsBackend } from '@xmoe/backend-tfjs';
import { createTfjsBackendFor, loadTfjs } from '@xmoe/backend-tfjs/node';
import { createEngine } from '@xmoe/core';
import type { RouterConfig } from '@xmoe/routers/by-name';
import { nativeTensorflow } from '../../backend-tfjs/test/native.js';
import { describeGolden } from './golden-suite.js';
import { batchAt, createTinyTrainer, expectNear, train } from './tiny-training.js';

const { available, reason } = await nativeTensorflow();

describe.skipIf(!available)(`on ${reason}`, () => {
  describeGolden('tfjs:node', () => createTfjsBackendFor('node'));

  const threshold: RouterConfig = { type: 'threshold', threshold: 0.8 };

  describe('training', () => {
    it('20 losses are as on cpu within 1e-3, and a second run is equal to the bit', async () => {
      const run = async (): Promise<number[][]> => train(await createTfjsBackendFor('node'), 20, { router: threshold, dispatch: 'padded' });
      const losses = await run();
      expectNear(losses, await train(createCpuBackend(), 20, { router: threshold, dispatch: 'padded' }));
      expect(await run()).toEqual(losses);
    });

    const routers: RouterConfig[] = [threshold, { type: 'topk', k: 2 }, { type: 'switch' }, { type: 'hash' }, { type: 'base' }];
    const cases = routers.flatMap((router) => (['padded', 'grouped', 'budget'] as const).map((dispatch) => ({ router, dispatch })));
    it.each([...cases, null])('%o: 12 losses are as on cpu', async (experts) => {
      expectNear(await train(await createTfjsBackendFor('node'), 12, experts), await train(createCpuBackend(), 12, experts));
    });
  });

  // More operations are a slower step on every device. What is read on tfjs:cuda is what the trainer reports; kernels read nothing there.
  it.each([
    { name: 'tfjs:node', waits: false, operations: 714, reads: 17 },
    { name: 'tfjs:cuda', waits: true, operations: 859, reads: 4 },
  ])('$name: a step takes so many operations, reads so often, and keeps no handle in 60', async ({ waits, operations, reads }) => {
    const { tf } = await loadTfjs({ build: 'node' });
    const storage = tf.engine().findBackend('tensorflow') as unknown as { binding: Record<string, (...args: unknown[]) => unknown> };
    const { binding } = storage;
    const count = { executeOp: 0, tensorDataSync: 0 };
    const counting: typeof binding = Object.fromEntries(Object.getOwnPropertyNames(binding).map((name) => [name, binding[name]!]));
    for (const name of ['executeOp', 'tensorDataSync'] as const) {
      counting[name] = (...args) => {
        count[name]++;
        return binding[name]!(...args);
      };
    }
    storage.binding = counting;
    try {
      const engine = createEngine(createTfjsBackend(tf, { backendName: 'tensorflow', waits }));
      const trainer = createTinyTrainer(engine, { router: threshold, dispatch: 'padded' });
      const step = (index: number): Promise<unknown> => trainer.step([batchAt(index)], { collectRouting: false });
      for (let index = 0; index < 3; index++) await step(index);
      const before = { ...count };
      await step(3);
      expect(count.executeOp - before.executeOp).toBeLessThanOrEqual(operations);
      expect(count.tensorDataSync - before.tensorDataSync).toBeLessThanOrEqual(reads);
      const handles = binding['getNumOfTensors']!();
      for (let index = 4; index < 60; index++) await step(index % 20);
      expect(binding['getNumOfTensors']!()).toBe(handles);
      engine.dispose();
    } finally {
      storage.binding = binding;
    }
  });
});

// Golden data and training on TensorFlow's own library (tfjs:node), where it is built: the numbers of every backend, and losses as on the CPU.
import { describe, expect, it } from 'vitest';
import { createCpuBackend } from '@xmoe/backend-cpu';
import { createTfjsBackendFor } from '@xmoe/backend-tfjs/node';
import type { RouterConfig } from '@xmoe/routers/by-name';
import { nativeTensorflow } from '../../backend-tfjs/test/native.js';
import { describeGolden } from './golden-suite.js';
import { expectNear, train } from './tiny-training.js';

const { available, reason } = await nativeTensorflow();

describe.skipIf(!available)(`on ${reason}`, () => {
  describeGolden('tfjs:node', () => createTfjsBackendFor('node'));

  describe('training', () => {
    const threshold: RouterConfig = { type: 'threshold', threshold: 0.8 };

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
});

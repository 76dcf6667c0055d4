// The engine with a library's products where it matters: golden data, gradients of every op and of the layer, ends of ranges, offsets, generation,
// and training: near the plain backend, and the same bits on 1, 2, 3 and 4 threads, in pieces so small that all threads take part.
import { describe, expect, it, vi } from 'vitest';
import { createCpuBackend } from '@xmoe/backend-cpu';
import { createNativeBackend } from '@xmoe/backend-cpu/node';
import type { RouterConfig } from '@xmoe/routers/by-name';
import type { Backend } from '@xmoe/core';
import { testLibrary } from '../../backend-cpu/test/native-support.js';
import { describeDerivatives } from './derivative-suite.js';
import { describeExtremes } from './extremes-suite.js';
import { describeGeneration } from './generation-suite.js';
import { describeGolden } from './golden-suite.js';
import { describeOffsets } from './offsets-suite.js';
import { expectNear, train, type Experts } from './tiny-training.js';

vi.mock('../../backend-cpu/src/engine/team.js', async (original) => (await import('../../backend-cpu/test/small-pieces.js')).withSmallPieces(original));

const library = testLibrary();
describe.runIf('file' in library)('cpu:native', () => {
  const { file, name } = library as { file: string; name: string };
  const open = (threads = 2) => (): Promise<Backend> => createNativeBackend({ threads, library: file });

  describeGolden(`${name}, 2 threads`, open());
  describeDerivatives(`${name}, 2 threads`, open());
  describeExtremes(name, open());
  describeOffsets(name, open());
  describeGeneration(name, open());

  const router: RouterConfig = { type: 'threshold', threshold: 0.8 };
  it.each(['padded', 'grouped', 'budget'] as const)('the first 20 losses, %s: near those of plain cpu, and the same to the bit on 1, 2, 3 and 4 threads', async (dispatch) => {
    const experts: Experts = { router, dispatch };
    const one = await train(await open(1)(), 20, experts);
    expectNear(one, await train(createCpuBackend(), 20, experts));
    for (const threads of [2, 3, 4]) expect(await train(await open(threads)(), 20, experts)).toEqual(one);
  });
});

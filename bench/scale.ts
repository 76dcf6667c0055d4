// Which sizes a backend gets: decided by a short probe of its matrix product, so that a whole run stays within minutes.
import { matmul, type Engine } from '@xmoe/core';
import { disposeAll, finish, normalTensor } from './forward-backward.js';
import { measureInterleaved } from './measure.js';
import type { Scale } from './shapes.js';

/** Plain loops in JavaScript reach 1 to 3 GFLOP/s, SIMD 10 and more. */
const FAST_GFLOPS = 5;
const SIDE = 256;

export async function scaleOf(engine: Engine, quick: boolean): Promise<Scale> {
  if (quick) return 'quick';
  const [a, b] = [1, 2].map((seed) => normalTensor(engine, [SIDE, SIDE], seed));
  const [timing] = await measureInterleaved([{ name: 'probe', run: () => finish([matmul(a, b)]) }], { repeat: 5, sampleMs: 10 });
  disposeAll([a, b]);
  return (2 * SIDE ** 3) / timing.min / 1e6 >= FAST_GFLOPS ? 'full' : 'reduced';
}

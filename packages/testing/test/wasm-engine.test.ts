// The compiled engine where it matters: golden data, gradients of every op and of the layer, and training, with each variant
// and on 1, 2 and 4 threads, in pieces so small that all threads take part. Single kernels are tested in backend-cpu.
import { describe, expect, it, vi } from 'vitest';
import { createCpuBackend, createWasmBackend, type WasmBackendOptions } from '@xmoe/backend-cpu';
import type { RouterConfig } from '@xmoe/routers/by-name';
import { whyNotRevectorized } from '../../backend-cpu/src/engine/probe.js';
import { describeDerivatives } from './derivative-suite.js';
import { describeGolden } from './golden-suite.js';
import { expectNear, train, type Experts } from './tiny-training.js';

vi.mock('../../backend-cpu/src/engine/team.js', async (original) => (await import('../../backend-cpu/test/small-pieces.js')).withSmallPieces(original));

const refusal = await whyNotRevectorized();
if (refusal) process.stdout.write(`the re-vectorised variant was not tested: ${refusal}\n`);
const VARIANTS = ['relaxed', 'simd', ...(refusal ? [] : (['revectorized'] as const))] as const;
const nameOf = ({ variant, threads }: WasmBackendOptions): string => `cpu:wasm ${variant} on ${threads} thread${threads === 1 ? '' : 's'}`;

const THREADS = { relaxed: 2, simd: 4, revectorized: 2 } as const;
for (const variant of VARIANTS) {
  const options = { variant, threads: THREADS[variant] };
  describeGolden(nameOf(options), () => createWasmBackend(options));
}

for (const variant of VARIANTS) describeDerivatives(nameOf({ variant, threads: 2 }), () => createWasmBackend({ variant, threads: 2 }));

describe('the first 20 losses', () => {
  const router: RouterConfig = { type: 'threshold', threshold: 0.8 };
  const lossesOf = async (experts: Experts, options?: WasmBackendOptions): Promise<number[][]> =>
    train(options ? await createWasmBackend(options) : createCpuBackend(), 20, experts);

  it.each(VARIANTS.flatMap((variant) => (['padded', 'grouped'] as const).map((dispatch) => ({ variant, dispatch }))))(
    '$variant, $dispatch: near those of plain cpu, and the same to the bit on 1, 2 and 4 threads', async ({ variant, dispatch }) => {
      const one = await lossesOf({ router, dispatch }, { variant, threads: 1 });
      expectNear(one, await lossesOf({ router, dispatch }));
      for (const threads of [2, 4]) expect(await lossesOf({ router, dispatch }, { variant, threads })).toEqual(one);
      // A run may go on under another Node.
      if (variant === 'revectorized') expect(await lossesOf({ router, dispatch }, { variant: 'relaxed', threads: 1 })).toEqual(one);
    });
});

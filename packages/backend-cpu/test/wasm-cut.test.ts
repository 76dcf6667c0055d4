// Bit-equal results for any number of threads: every conformance case, cut into as many pieces as it has work items (at most
// twelve) on four and on two threads, against one thread that does not cut. Where the re-vectorised kernels run, they are cut too:
// they join operations but compute the same.
import { afterAll, vi } from 'vitest';
import { createWasmBackend } from '@xmoe/backend-cpu';
import { whyNotRevectorized } from '../src/engine/probe.js';
import type * as team from '../src/engine/team.js';
import { describeCut } from './cut-suite.js';

// As the real team, with pieces as small as they get.
vi.mock('../src/engine/team.js', async (original) => {
  const real = await original<typeof team>();
  const createTeam: typeof real.createTeam = async (options) => {
    const made = await real.createTeam(options);
    return { ...made, run: (kernel, total, _grain, args) => made.run(kernel, total, 1, args) };
  };
  return { ...real, createTeam };
});

const whole = await createWasmBackend({ threads: 1, variant: 'relaxed' });
const cut = await Promise.all([2, 4].map((threads) => createWasmBackend({ threads, variant: 'relaxed' })));
if ((await whyNotRevectorized()) === undefined) cut.push(await createWasmBackend({ threads: 3, variant: 'revectorized' }));
afterAll(() => [whole, ...cut].forEach((backend) => backend.dispose()));

describeCut(whole, cut);

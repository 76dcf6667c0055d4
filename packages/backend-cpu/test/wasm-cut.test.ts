// Bit-equal results for any number of threads: every conformance case, cut into as many pieces as it has work items (at most
// twelve) on four and on two threads, against one thread that does not cut. Where the re-vectorised kernels run, they are cut too:
// they join operations but compute the same.
import { afterAll, vi } from 'vitest';
import { createWasmBackend } from '@xmoe/backend-cpu';
import { whyNotRevectorized } from '../src/engine/probe.js';
import { describeCut } from './cut-suite.js';

vi.mock('../src/engine/team.js', async (original) => (await import('./small-pieces.js')).withSmallPieces(original));

const whole = await createWasmBackend({ threads: 1, variant: 'relaxed' });
const cut = await Promise.all([2, 4].map((threads) => createWasmBackend({ threads, variant: 'relaxed' })));
if ((await whyNotRevectorized()) === undefined) cut.push(await createWasmBackend({ threads: 3, variant: 'revectorized' }));
afterAll(() => [whole, ...cut].forEach((backend) => backend.dispose()));

describeCut(whole, cut);

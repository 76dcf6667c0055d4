// F39: garbage that is collected while numbers travel takes nothing that MPI still reads or writes. `npm run faults -- --only ranks` launches it 200 times.
import { describe, expect, it } from 'vitest';
import { missingMpis, MPIS, runRanks } from './mpi-support.js';

const missing = missingMpis();

for (const family of MPIS) describe.skipIf(missing.includes(family))(family, () => {
  it.each([2, 3])('F39: %i ranks whose garbage is collected under what travels', async (ranks) => {
    const { stdout, stderr, code } = await runRanks(family, 'pressure', { ranks, args: ['12'] });
    expect([code, stderr, stdout]).toEqual([0, '', '[]\n']);
  });
});

// Ranks under both MPIs, launched again and again: what MPI reads and writes stays where it is while garbage is collected. What the ranks do is in
// packages/distributed/test/ranks/pressure.ts.
import { missingMpis, MPIS, runRanks } from '../packages/distributed/test/mpi-support.js';
import { createTally, eachOf, type FaultResult, type SectionOptions } from './result.js';

const LAUNCHES = 200;
const ROUNDS = 12;
const SECONDS = 300;

export async function ranks({ share, jobs, say }: SectionOptions): Promise<FaultResult[]> {
  const missing = missingMpis();
  const families = MPIS.filter((family) => !missing.includes(family));
  const tally = createTally('F39', `launches of 2 and 3 ranks under ${families.join(' and ') || 'no MPI'}, garbage collected under what travels: no crash, the right numbers`);
  const launches = families.length === 0 ? [] : Array.from({ length: Math.max(2 * families.length, Math.round(LAUNCHES * share)) }, (_, at) => at);
  await eachOf(launches, jobs, async (at) => {
    const family = families[at % families.length]!;
    const size = 2 + (Math.floor(at / families.length) % 2);
    const { code, stdout, stderr } = await runRanks(family, 'pressure', { ranks: size, args: [String(ROUNDS)], seconds: SECONDS });
    tally.add(`launch ${at}, ${size} ranks of ${family}`, code === 0 && stdout === '[]\n' ? [] : [`ended with ${code}: ${stdout}${stderr}`]);
    if (at % 20 === 19) say(`${at + 1} of ${launches.length} launches`);
  });
  return [tally.result()];
}

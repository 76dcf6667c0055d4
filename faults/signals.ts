// Signals and lost readers at random moments: the run saves and ends with 128 + the signal's number, or goes on without a terminal;
// resumed, it ends as the undisturbed one.
import { rmSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkpointsOf, lastStep } from '@xmoe/testing/programs';
import { createRandom, createTally, eachOf, type FaultResult, type SectionOptions } from './result.js';
import { createSmallRun, type SmallRun } from './small-run.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2'] as const;
/** Times each in the full form. */
const ROUNDS = 20;

export async function signals({ folder, launch, share, jobs, seed }: SectionOptions): Promise<FaultResult[]> {
  const small = await createSmallRun('xmoe-lm', launch, folder, { steps: 40, checkpointEvery: 1000, evaluateEvery: 20 });
  const rounds = Math.max(1, Math.round(ROUNDS * share));
  const random = createRandom(seed);
  const told = createTally('F4', `${SIGNALS.join(', ')} at random moments: saved, 128 + its number, resumed`);
  const cases = SIGNALS.flatMap((signal) => Array.from({ length: rounds }, (_, round) => ({ signal, round, step: 1 + Math.floor(random() * 30) })));
  await eachOf(cases, jobs, async ({ signal, round, step }) => {
    const out = join(folder, `${signal}-${round}`);
    told.add(`${signal} after step ${step}`, await interrupted(small, out, signal, step));
    rmSync(out, { recursive: true, force: true });
  });
  const lost = createTally('F4', 'the readers of both streams go away: it goes on to the end');
  await eachOf(Array.from({ length: rounds }, (_, round) => round), jobs, async (round) => {
    const out = join(folder, `lost-${round}`);
    const { child, ended } = small.start(out);
    await until(out, 1 + Math.floor(random() * 30), child);
    child.stdout?.destroy();
    child.stderr?.destroy();
    const { code } = await ended;
    lost.add(`round ${round}`, [...(code === 0 ? [] : [`ended with ${code}`]), ...small.differences(out)]);
    rmSync(out, { recursive: true, force: true });
  });
  return [told.result(), lost.result()];
}

async function interrupted(small: SmallRun, out: string, signal: (typeof SIGNALS)[number], step: number): Promise<string[]> {
  const { child, ended } = small.start(out);
  await until(out, step, child);
  child.kill(signal);
  const { code, signal: by } = await ended;
  if (code === 0) return small.differences(out); // it came too late
  const expected = 128 + constants.signals[signal];
  const saved = checkpointsOf(out);
  const { code: resumed } = await small.run(out);
  return [
    ...(code === expected ? [] : [`ended with ${code ?? by} instead of ${expected}`]),
    ...(saved.length > 0 ? [] : ['nothing was saved']),
    ...(resumed === 0 ? [] : [`going on ended with ${resumed}`]),
    ...small.differences(out, ['checkpoints']),
  ];
}

async function until(out: string, step: number, child: { exitCode: number | null }): Promise<void> {
  while (child.exitCode === null && lastStep(out) < step) await sleep(1);
}

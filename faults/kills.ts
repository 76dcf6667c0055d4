// Kills at random moments, also of resumed runs, until a run is through: it must end as the undisturbed one, without a manual step.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { lastStep } from '@xmoe/testing/programs';
import { createRandom, createTally, eachOf, type FaultResult, type ProgramName, type SectionOptions } from './result.js';
import { createSmallRun, type SmallRun } from './small-run.js';

/** Runs in the full form, by program. */
const RUNS: Readonly<Record<ProgramName, number>> = { 'xmoe-lm': 200, 'xmoe-nmt': 25 };
/** A resumed run is killed again this often. */
const AGAIN = 0.4;
const MOST_SESSIONS = 30;

export async function kills(options: SectionOptions): Promise<FaultResult[]> {
  const results: FaultResult[] = [];
  for (const program of Object.keys(RUNS) as ProgramName[]) {
    results.push(await killsOf(program, { ...options, folder: join(options.folder, program) }));
  }
  return results;
}

async function killsOf(program: ProgramName, { folder, launch, share, jobs, seed, say }: SectionOptions): Promise<FaultResult> {
  mkdirSync(folder, { recursive: true });
  const small = await createSmallRun(program, launch, folder, { steps: 40, checkpointEvery: 2, evaluateEvery: 6 });
  const tally = createTally('F1', `${program} killed (-9) at random moments, resumed ones too`);
  const count = Math.max(1, Math.round(RUNS[program] * share));
  let killed = 0;
  await eachOf(Array.from({ length: count }, (_, at) => at), jobs, async (at) => {
    const out = join(folder, `run-${at}`);
    const { kills: times, problems } = await killUntilDone(small, out, createRandom(seed * 1000 + at));
    killed += times;
    tally.add(`run ${at}`, [...problems, ...small.differences(out)]);
    rmSync(out, { recursive: true, force: true });
    if ((at + 1) % 10 === 0) say(`${program}: ${at + 1} runs`);
  });
  const { fault, what, tried, passed, notes } = tally.result();
  return { fault, what: `${what}: ${killed} kills`, tried, passed, notes };
}

async function killUntilDone(small: SmallRun, out: string, random: () => number): Promise<{ kills: number; problems: string[] }> {
  for (let session = 0, killed = 0; session < MOST_SESSIONS; session++) {
    const { child, ended } = small.start(out);
    if (session === 0 || random() < AGAIN) {
      await moment(small, out, child, random);
      if (child.kill('SIGKILL')) killed++;
    }
    const { code, signal, messages } = await ended;
    if (code === 0) return { kills: killed, problems: [] };
    if (signal !== 'SIGKILL') return { kills: killed, problems: [`session ${session} ended with ${code ?? signal}: ${messages.trimEnd().split('\n').at(-1)}`] };
  }
  return { kills: MOST_SESSIONS, problems: ['never got through'] };
}

/** Waits for a random moment: during the start, or a little after a random step. */
async function moment(small: SmallRun, out: string, child: { exitCode: number | null }, random: () => number): Promise<void> {
  if (random() < 0.2) return void (await sleep(random() * 1500));
  const step = 1 + Math.floor(random() * small.steps);
  while (child.exitCode === null && lastStep(out) < step) await sleep(1);
  await sleep([0, random() * 20, random() * 200][Math.floor(random() * 3)]!);
}

// Several processes in one run directory: one trains, the others are refused at once; whoever reads while it saves sees a whole
// checkpoint. Also the lock of a killed process.
import { cpSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkpointsOf, lastStep } from '@xmoe/testing/programs';
import { spawnProgram } from './processes.js';
import { createTally, type FaultResult, type SectionOptions } from './result.js';
import { createSmallRun, type SmallRun } from './small-run.js';

/** Exit code of a run directory in use; see docs/reliability.md. */
const BUSY = 75;
const CONTENDERS = 6;

export async function races(options: SectionOptions): Promise<FaultResult[]> {
  const { folder, launch, share } = options;
  const small = await createSmallRun('xmoe-lm', launch, folder, { steps: 40, checkpointEvery: 1, evaluateEvery: 20 });
  const rounds = Math.max(1, Math.round(10 * share));
  return [await contend(small, folder, rounds), await readWhileSaving(small, options, rounds)];
}

async function contend(small: SmallRun, folder: string, rounds: number): Promise<FaultResult> {
  const tally = createTally('F16', `${CONTENDERS} trainers at once in a directory whose last owner was killed: one wins`);
  for (let round = 0; round < rounds; round++) {
    const out = join(folder, `contended-${round}`);
    const killed = small.start(out);
    while (lastStep(out) < 3 && killed.child.exitCode === null) await sleep(1);
    killed.child.kill('SIGKILL');
    await killed.ended;
    const ended = await Promise.all(Array.from({ length: CONTENDERS }, () => small.run(out)));
    const codes = ended.map(({ code }) => code);
    const refused = ended.filter(({ code, messages }) => code === BUSY && /process \d+/.test(messages));
    tally.add(`round ${round}`, [
      ...(codes.filter((code) => code === 0).length === 1 && refused.length === CONTENDERS - 1 ? [] : [`they ended with ${codes.join(', ')}`]),
      ...small.differences(out),
    ]);
    rmSync(out, { recursive: true, force: true });
  }
  return tally.result();
}

async function readWhileSaving(small: SmallRun, { folder, launch }: SectionOptions, rounds: number): Promise<FaultResult> {
  const tally = createTally('F17', 'copied and evaluated while it saves at every step: always a whole checkpoint');
  const out = join(folder, 'read');
  for (let round = 0; round < rounds; round++) {
    rmSync(out, { recursive: true, force: true });
    const running = small.start(out);
    while (checkpointsOf(out).length === 0 && running.child.exitCode === null) await sleep(1);
    const { code, messages } = await spawnProgram(launch['xmoe-lm'], ['eval', out, '--max-windows', '1', '--checkpoint', 'latest', '--backend', 'cpu:wasm']).ended;
    const during = running.child.exitCode === null;
    await running.ended;
    tally.add(`round ${round}`, [...(code === 0 ? [] : [`eval ended with ${code}: ${messages.trimEnd().split('\n').at(-1)}`]), ...small.differences(out)]);
    if (!during) tally.note(`round ${round}: the run had ended before the evaluation`);
  }
  return movedAndCopied(small, out, folder, tally);
}

/** F18: a copy elsewhere is the same run. */
async function movedAndCopied(small: SmallRun, out: string, folder: string, tally: ReturnType<typeof createTally>): Promise<FaultResult> {
  const copy = join(folder, 'a moved run, ünd # %');
  cpSync(out, copy, { recursive: true });
  rmSync(join(copy, 'summary.json'));
  const { code } = await small.run(copy);
  tally.add('a copy under another name (F18)', [...(code === 0 && existsSync(join(copy, 'summary.json')) ? [] : [`ended with ${code}`]), ...small.differences(copy)]);
  return tally.result();
}

// A run on two hosts: the bits of one process, a cable that is pulled and comes back, and one that does not. The hosts are network namespaces of this machine with a
// link of 1 Gbit/s; skipped, with the reason, where those or the MPIs are not there.
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fingerprint, lastStep, temporaryFolder } from '@xmoe/testing/programs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { mustRun } from '../apps/lm-pretrain/test/support.js';
import { missingMpis, mpiEnvironment, startLauncher, type Launcher } from '../packages/distributed/test/mpi-support.js';
import { runningProcesses } from '../scripts/lib/processes.mjs';
import { openTwoHosts } from '../scripts/lib/two-hosts.mjs';
import { program, smallTraining } from './ranks-support.js';

const missing = missingMpis();
Object.assign(process.env, mpiEnvironment()); // for launchers that the program finds
const hosts = missing.length > 0 ? { absent: 'there are no MPIs' } : openTwoHosts();
if ('absent' in hosts) process.stdout.write(`two hosts not tested: ${hosts.absent}\n`);
afterAll(() => ('absent' in hosts ? undefined : hosts.close()));

const path = temporaryFolder(afterAll);
const STEPS = 24;
const train = smallTraining(path, STEPS);

describe.skipIf('absent' in hosts)('two hosts', () => {
  const two = hosts as Exclude<typeof hosts, { absent: string }>;
  const reference = path('reference');
  beforeAll(() => mustRun(...train(reference, '--set', 'train.reduction=deterministic')), 120_000);

  /** One rank on each; experts are spread over both. */
  function launch(mpi: string, out: string, timeoutSeconds: number): Launcher {
    const command = [...program('lm-pretrain'), 'launch', '-n', '2', '--hosts', two.hosts.map((host) => `${host}:1`).join(','), '--mpi', mpi, '--', ...train(out, '--set', 'train.expertParallel=2')];
    return startLauncher(two.command(command), { ...two.env, XMOE_COMM_TIMEOUT: String(timeoutSeconds), XMOE_THREADS: '1' });
  }

  /** Processes of a run, on both hosts. */
  const processesOf = (out: string): number[] => [...runningProcesses()].filter(([, { line }]) => line.includes(out)).map(([pid]) => pid);

  const stepsIn = (out: string): number => (existsSync(out) ? lastStep(out) : 0);

  async function pullCable({ child, ended }: Launcher, out: string): Promise<void> {
    while (stepsIn(out) < 2) {
      if (child.exitCode !== null) throw new Error(`it ended too early:\n${(await ended).stderr}`);
      await sleep(2);
    }
    two.setCable(false);
  }

  it.each(['openmpi', 'mpich'])('F40, %s: a run on two hosts has the bits of one process', async (mpi) => {
    const out = path(`two-${mpi}`);
    const { code, stderr } = await launch(mpi, out, 60).ended;
    expect(code, stderr).toBe(0);
    expect(fingerprint(out)).toEqual(fingerprint(reference));
  });

  it.each(['openmpi', 'mpich'])('F35, %s: a cable that comes back before the time-out: the run goes on, with the same bits', async (mpi) => {
    const out = path(`pulled-${mpi}`);
    const run = launch(mpi, out, 60);
    await pullCable(run, out);
    await sleep(500);
    const before = stepsIn(out);
    await sleep(2000);
    const after = stepsIn(out);
    two.setCable(true);
    const { code, stderr } = await run.ended;
    expect([before < STEPS, after], 'the cable was pulled within the run').toEqual([true, before]);
    expect(code, stderr).toBe(0);
    expect(fingerprint(out)).toEqual(fingerprint(reference));
  });

  it.each(['openmpi', 'mpich'])('F35, %s: a cable that stays out ends the run after the time-out, on both hosts', async (mpi) => {
    const out = path(`cut-${mpi}`);
    const run = launch(mpi, out, 15);
    await pullCable(run, out);
    try {
      const { code, stderr } = await run.ended;
      expect(stderr).toMatch(/^error: rank [01] has waited \d+ s in collective \d+ \(\w+\) at step \d+: another rank did not come\. The run ends; go on with --resume$/m);
      expect(code).not.toBe(0);
      await vi.waitFor(() => expect(processesOf(out)).toEqual([]), { timeout: 20_000, interval: 200 });
    } finally {
      two.setCable(true);
    }
  });
});

// Both programs on several ranks under mpirun: the same bits as in one process, also after a rank was killed and the run went on with other ranks
// under another MPI; signals to the launcher; what is refused.
import { appendFileSync, cpSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fingerprint, lastStep, temporaryFolder } from '@xmoe/testing/programs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { metricsOf, mustRun, startProcess, waitUntil } from '../apps/lm-pretrain/test/support.js';
import * as nmt from '../apps/nmt/test/support.js';
import { missingMpis, mpiEnvironment, startRanks, type Launcher } from '../packages/distributed/test/mpi-support.js';
import { processesBelow } from '../scripts/lib/processes.mjs';
import { backend, program, smallTraining } from './ranks-support.js';

const missing = missingMpis();
Object.assign(process.env, mpiEnvironment()); // for launchers that the programs find
const path = temporaryFolder(afterAll);
const STEPS = 12;

const deterministic = ['--set', 'train.reduction=deterministic'];

const spread = ['--set', 'train.expertParallel=2'];
const sharded = ['--set', 'train.shardOptimizer=true'];

const train = smallTraining(path, STEPS);
const onRanks = (family: 'Open MPI' | 'MPICH', ranks: number, args: readonly string[], app = 'lm-pretrain'): Launcher => startRanks(family, ranks, [...program(app), ...args]);

/** Process ids of the ranks of a launcher. */
const ranksOf = ({ child }: Launcher): number[] => [...processesBelow(child.pid!)].filter(([, { line }]) => line.startsWith(process.execPath)).map(([pid]) => pid);

describe.skipIf(missing.length > 0)('xmoe-lm', () => {
  const reference = path('reference');
  beforeAll(() => mustRun(...train(reference, ...deterministic)), 120_000);

  it('4 ranks, two groups of which hold the experts together, make the bits of one process, prepare the data once, and only the first speaks', async () => {
    const out = path('four');
    const { code, stdout, stderr } = await onRanks('MPICH', 4, [...train(out), ...spread, '--data-root', path('other-data')]).ended;
    expect([code, stderr.match(/Tokenising/g)?.length, stderr.match(/Ranks: MPICH 4\S*, 4 ranks/g)?.length, stdout.match(/Test perplexity/g)?.length], stderr).toEqual([0, 1, 1, 1]);
    expect(fingerprint(out)).toEqual(fingerprint(reference));
    const steps = metricsOf(out).filter(({ kind }) => kind === 'step') as unknown as { seconds: number; communicationSeconds: number }[];
    expect(steps.map(({ seconds, communicationSeconds }) => communicationSeconds > 0 && communicationSeconds < seconds)).toEqual(new Array(STEPS).fill(true));
    expect(metricsOf(reference).some((row) => 'communicationSeconds' in row)).toBe(false);
  });

  it('F32, F33: a rank that is killed ends the run; it goes on by launch with spread experts, which SIGTERM stops, and ends in one process with the same bits', async () => {
    const out = path('killed');
    const killed = onRanks('MPICH', 2, train(out, ...sharded));
    await vi.waitUntil(() => lastStep(out) >= 5, { timeout: 120_000, interval: 5 });
    process.kill(ranksOf(killed)[1]!, 'SIGKILL');
    expect((await killed.ended).code).not.toBe(0);
    expect(lastStep(out)).toBeLessThan(STEPS);

    const resumed = startProcess('launch', '-n', '2', '--mpi', 'openmpi', '--', 'train', '--resume', '--out', out, ...backend, ...spread);
    const from = lastStep(out);
    await waitUntil(resumed, () => lastStep(out) > from);
    resumed.child.kill('SIGTERM');
    const { code, output, messages } = await resumed.ended;
    expect(output, messages).toMatch(new RegExp(`^Stopped after \\d+ of ${STEPS} steps`));
    expect(code).toBe(143);

    await mustRun('train', '--resume', '--out', out, ...backend, '--set', 'train.expertParallel=1');
    expect(fingerprint(out)).toEqual(fingerprint(reference));
  });

  it('eval shares out its windows, with the text of one process; a command that is not for ranks is refused by name', async () => {
    const args = ['eval', reference, ...backend, '--max-windows', '7'];
    const { output } = await mustRun(...args);
    const { code, stdout, stderr } = await onRanks('MPICH', 4, args).ended;
    expect([code, stdout], stderr).toEqual([0, output]);

    const refused = await onRanks('Open MPI', 2, ['sample', reference, ...backend]).ended;
    expect(refused.stderr).toMatch(/^rank [01]: error: sample is not for several ranks: each of 2 would do the same\n {2}start it by itself; ranks share out start, train, eval$/m);
    expect([refused.code, refused.stdout]).toEqual([2, '']);
  });

  it('F37: ranks of which one runs other code are refused', async () => {
    const [here, cli] = [program('lm-pretrain').slice(0, -1), program('lm-pretrain').at(-1)!];
    const app = join(dirname(cli), '..');
    const other = join(app, 'node_modules/.cache', `other-code-${process.pid}`);
    const otherCli = join(other, relative(app, cli));
    cpSync(dirname(cli), dirname(otherCli), { recursive: true });
    cpSync(join(app, 'package.json'), join(other, 'package.json'));
    try {
      appendFileSync(otherCli, '// of another version\n');
      const args = train(path('mixed'));
      const { code, stderr } = await startRanks('MPICH', 1, [...here, cli, ...args, ':', '-n', '1', ...here, otherCli, ...args]).ended;
      expect(stderr).toMatch(/^rank [01]: error: ranks differ in the code of xmoe: [0-9a-f]{16} on rank 0, [0-9a-f]{16} on rank 1\n {2}start the same program, with the same options, on all hosts$/m);
      expect(code).toBe(2);
    } finally {
      rmSync(other, { recursive: true });
    }
  });

  it('what all ranks refuse is said by each, with its number', async () => {
    const { code, stderr } = await onRanks('Open MPI', 2, train(path('none'), '--accumulation', '1')).ended;
    expect(stderr).toMatch(/^rank [01]: error: an update of 1 micro-batch leaves some of 2 ranks without work\n {2}--set train\.accumulation=2/m);
    expect(code).toBe(2);
  });
});

describe.skipIf(missing.includes('Open MPI'))('xmoe-nmt', () => {
  it('2 ranks that hold the experts and the moments together make the bits of one process, in updates of as many micro-batches as their tokens ask for', async () => {
    const pairs = nmt.writePairs(path('pairs.tsv'));
    const args = (out: string): string[] => ['train', ...nmt.SMALL, ...nmt.EXPERTS, ...backend, '--data', pairs, '--data-root', path('pairs-data'), '--max-steps', '6', '--out', out, ...deterministic];
    const [alone, two] = [path('nmt-alone'), path('nmt-two')];
    await nmt.mustRun(...args(alone));
    const { code, stderr } = await onRanks('Open MPI', 2, [...args(two), ...spread, ...sharded], 'nmt').ended;
    expect(code, stderr).toBe(0);
    expect(fingerprint(two)).toEqual(fingerprint(alone));

    const [line] = readFileSync(pairs, 'utf8').split('\n');
    const lines = Array.from({ length: 130 }, (_, index) => (index % 7 === 3 ? '' : line!.split('\t')[0]!.split(' ').slice(index % 3).join(' '))).map((text) => `${text}\n`).join('');
    const translate = ['translate', two, ...backend, '--beam', '1', '--n-best', '1'];
    const translated = await nmt.feed(lines, ...translate);
    const byTwo = startRanks('Open MPI', 2, [...program('nmt'), ...translate], {}, lines);
    expect([(await byTwo.ended).stdout, translated.output.split('\n').length], (await byTwo.ended).stderr).toEqual([translated.output, 112]);

    const evaluate = ['eval', two, ...backend, '--max-pairs', '9', '--json'];
    const evaluated = await onRanks('Open MPI', 2, evaluate, 'nmt').ended;
    expect([evaluated.code, evaluated.stdout], evaluated.stderr).toEqual([0, (await nmt.mustRun(...evaluate)).output]);
  });
});

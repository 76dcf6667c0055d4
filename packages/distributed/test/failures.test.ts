// A rank that ends, hangs or does not belong to the others ends the run soon, with a message that says who and where, and leaves no process behind.
import { describe, expect, it, vi } from 'vitest';
import { isRunning } from './is-running.js';
import { missingMpis, MPIS, runAlone, runRanks } from './mpi-support.js';

const missing = missingMpis();

/** MPICH's launcher may end a moment before the processes that it killed. */
async function expectNoneLeft(stdout: string): Promise<void> {
  const pids = [...stdout.matchAll(/^pid (\d+)$/gm)].map(([, pid]) => pid!);
  expect(pids).toHaveLength(2);
  await vi.waitFor(() => expect(pids.filter(isRunning)).toEqual([]), { timeout: 10_000 });
}

// They wait more than they compute.
for (const family of MPIS) describe.skipIf(missing.includes(family))(family, { concurrent: true }, () => {
  it.each(['kill', 'throw', 'abort'])('F32: a rank that ends by %s ends the others', async (way) => {
    const { stdout, stderr, code } = await runRanks(family, 'failing', { ranks: 2, args: [way], seconds: 20 });
    expect(code).not.toBe(0);
    expect(code).not.toBe(128); // not by the limit of this test
    expect(stdout).not.toContain('is done');
    await expectNoneLeft(stdout);
    if (way === 'throw') expect(stderr).toContain('rank 1 cannot go on');
    if (way === 'abort') expect(code).toBe(42);
  });

  it.each([
    ['hang', /^error: rank 1 has not come to a collective for \d s; its last was collective 10 \(allReduce\) at step 10\. The run ends/m],
    ['spin', /^error: rank 1 has not come to a collective for \d s; its last was collective 10 \(allReduce\) at step 10\. The run ends/m],
    ['stop', /^error: rank 0 has waited \d s in collective 11 \(allReduce\) at step 10: another rank did not come\. The run ends/m],
    ['beside', /^error: rank 0 has waited \d s in collective 12 \(exchange\) at step 10: another rank did not come\. The run ends/m],
    ['besideNow', /^error: rank 0 has waited \d s in collective 12 \(exchange\) at step 10: another rank did not come\. The run ends/m],
  ])('F35: a rank that does not come (%s) ends the run after the time-out', { timeout: 150_000 }, async (way, message) => {
    const { stdout, stderr, code } = await runRanks(family, 'failing', { ranks: 2, args: [way], env: { XMOE_COMM_TIMEOUT: '2' }, seconds: 60 });
    expect(stderr).toMatch(message);
    expect(code).not.toBe(0);
    expect(code).not.toBe(128);
    await expectNoneLeft(stdout);
  });

  it('F32: a rank that ends before it has begun with MPI ends the others', async () => {
    const { stdout, stderr, code } = await runRanks(family, 'failing', { ranks: 2, args: ['absent'], env: { XMOE_COMM_TIMEOUT: '1' }, seconds: 60 });
    expect(code).not.toBe(0);
    expect(code).not.toBe(128);
    // The launcher of Open MPI sees it itself.
    expect(stderr).toMatch(family === 'MPICH' ? /^error: rank 0 has waited 16 s for MPI to start: another rank did not come\. The run ends; what that rank wrote may say why$/m : /exit code/i);
    await expectNoneLeft(stdout);
  });

  it.each([['pause', ''], ['pauseBeside', '0,1'], ['pauseBesideNow', '0,1']])('F35: a rank that comes back before the time-out (%s) goes on with the others, with the sums of one that was never away', async (way, received) => {
    const { stdout, stderr, code } = await runRanks(family, 'failing', { ranks: 2, args: [way], env: { XMOE_COMM_TIMEOUT: '30' } });
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout.match(/^rank . is done.*$/gm)?.sort()).toEqual([0, 1].map((rank) => `rank ${rank} is done, 400, ${received}`));
    await expectNoneLeft(stdout);
  });

  it('what may take long does not count', async () => {
    const { stdout, stderr, code } = await runRanks(family, 'failing', { ranks: 2, args: ['unhurried'], env: { XMOE_COMM_TIMEOUT: '2' } });
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout.match(/is done/g)).toHaveLength(2);
  });
});

const OTHER = { 'Open MPI': 'libmpich.so.12', MPICH: 'libmpi.so.40' } as const;

describe.skipIf(missing.length > 0)('what does not belong together', () => {
  it.each(MPIS)('F37: the library of another MPI than the launcher, %s, is refused on each rank', async (family) => {
    const { stderr, code } = await runRanks(family, 'failing', { ranks: 2, args: ['none'], env: { XMOE_MPI: OTHER[family] } });
    expect(stderr.match(new RegExp(`no MPI library was found for a launcher of ${family}: ${OTHER[family]}: it is (Open MPI|MPICH)[^\\n]*, the launcher is of ${family}`, 'g'))).not.toBeNull();
    expect(code).not.toBe(0);
  });
});

describe('variables of a launcher that is not there', () => {
  it.skipIf(missing.includes('Open MPI'))('F37: processes that do not find each other are refused: each would be the only one', async () => {
    const { stderr, code } = await runAlone('failing', { env: { OMPI_COMM_WORLD_SIZE: '4', OMPI_COMM_WORLD_RANK: '2' } });
    expect(stderr).toContain('mpi: this is process 2 of 4 for mpirun of Open MPI, but rank 0 of 1 for libmpi.so.40 (Open MPI v');
    expect(code).toBe(1);
  });

  it('F37: a library that is none is named with what was tried', async () => {
    const { stderr } = await runAlone('failing', { env: { PMI_SIZE: '2', PMI_RANK: '0', XMOE_MPI: '/nowhere/libmpi.so' } });
    expect(stderr).toMatch(/no MPI library was found for a launcher of MPICH: \/nowhere\/libmpi\.so: it does not load: /);
  });

  it('XMOE_MPI=none runs each process by itself', async () => {
    const { stdout, code } = await runAlone('failing', { args: ['none'], env: { PMI_SIZE: '2', PMI_RANK: '0', XMOE_MPI: 'none' } });
    expect([code, stdout.includes('rank 0 is done')]).toEqual([0, true]);
  });
});

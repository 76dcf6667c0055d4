// The tree of sums in a fixed order: shares of ranks are its nodes, whatever their number; and what a run of one process does.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkTreeRanks, shareOf, SoloComm, sumByHalves } from '../src/index.js';
import { readLauncher } from '../src/node.js';
import { termOf } from './ranks/terms.js';

describe('shareOf', () => {
  it('gives every term to one rank, in order, and to none more than one above another', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 70 }), fc.constantFrom(1, 2, 4, 8, 16), (terms, size) => {
      const shares = Array.from({ length: size }, (_, rank) => shareOf(terms, size, rank));
      expect(shares.flatMap(({ begin, end }) => Array.from({ length: end - begin }, (_, index) => begin + index))).toEqual(Array.from({ length: terms }, (_, term) => term));
      const lengths = shares.map(({ begin, end }) => end - begin);
      expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(1);
    }));
  });

  it('refuses numbers of ranks that no tree has', () => {
    expect(() => shareOf(8, 3, 0)).toThrow(/over 1, 2, 4, 8, … ranks, not 3/);
    expect(() => checkTreeRanks(0)).toThrow(/not 0/);
  });
});

describe('sumByHalves', () => {
  it('adds the sums of the halves, which another order does not give', async () => {
    const terms = [0, 1, 2, 3, 4].map((term) => termOf(term, 500));
    const whole = await sumByHalves({ begin: 0, end: 5 }, async (term) => terms[term]!.slice());
    const inTurn = terms[0]!.map((value, index) => terms.slice(1).reduce((sum, term) => Math.fround(sum + term[index]!), value));
    expect(whole).not.toEqual(inTurn);
    const halves = [await sumByHalves({ begin: 0, end: 3 }, async (term) => terms[term]!.slice()), await sumByHalves({ begin: 3, end: 5 }, async (term) => terms[term]!.slice())];
    expect(whole).toEqual(halves[0]!.map((value, index) => value + halves[1]![index]!));
    expect(await sumByHalves({ begin: 2, end: 2 }, async () => new Float32Array(1))).toBeNull();
  });

  it('holds few terms at once', async () => {
    let [held, most] = [0, 0];
    // What is added is let go: a term is held from its making until its sum is made.
    await sumByHalves({ begin: 0, end: 64 }, async (term) => {
      held = term.toString(2).replaceAll('0', '').length + 1;
      most = Math.max(most, held);
      return new Float32Array(1);
    });
    expect(most).toBeLessThanOrEqual(7);
  });
});

describe('SoloComm', () => {
  it('S9: copies, and refuses what MPI refuses', async () => {
    const comm = new SoloComm();
    const out = new Float32Array(2);
    await comm.allGather(Float32Array.of(1, 2), out);
    expect([...out]).toEqual([1, 2]);
    await comm.allToAllV(Float32Array.of(3, 4), Int32Array.of(2), out, Int32Array.of(2));
    expect([...out]).toEqual([3, 4]);
    await comm.reduceScatter(Float32Array.of(5, 6), out, 'sum');
    expect([...out]).toEqual([5, 6]);
    await expect(comm.broadcast(out, 1)).rejects.toThrow(/there is no rank 1 among 1/);
    await expect(comm.allGather(out, new Float32Array(3))).rejects.toThrow(/1 times 2 numbers do not make 3/);
    await expect(comm.allGather(out, new Int32Array(2))).rejects.toThrow(/Float32Array and Int32Array do not go together/);
    await expect(comm.allToAllV(out, Int32Array.of(2), new Float32Array(1), Int32Array.of(1))).rejects.toThrow(/rank 0 sends 2 numbers to rank 0, which expects 1/);
    expect(() => comm.abort(3)).toThrow(/aborted with code 3/);
  });
});

describe('readLauncher', () => {
  it.each([
    ['nothing', {}, undefined],
    ['Open MPI', { OMPI_COMM_WORLD_SIZE: '4', OMPI_COMM_WORLD_RANK: '3', OMPI_COMM_WORLD_LOCAL_RANK: '1', OMPI_COMM_WORLD_LOCAL_SIZE: '2' }, ['Open MPI', 3, 4, 1, 2]],
    ['MPICH', { PMI_SIZE: '2', PMI_RANK: '0', MPI_LOCALRANKID: '0', MPI_LOCALNRANKS: '2' }, ['MPICH', 0, 2, 0, 2]],
    ['a step of srun', { SLURM_STEP_NUM_TASKS: '8', SLURM_PROCID: '5', SLURM_LOCALID: '1', SLURM_NTASKS_PER_NODE: '4' }, [undefined, 5, 8, 1, 4]],
    ['the script of a job, which has tasks but is none', { SLURM_NTASKS: '8', SLURM_PROCID: '0' }, undefined],
    ['a shell of srun', { SLURM_STEP_NUM_TASKS: '1', SLURM_PROCID: '0' }, undefined],
    ['empty variables', { PMI_SIZE: '', PMI_RANK: '' }, undefined],
  ] as const)('%s', (_, env, expected) => {
    const found = readLauncher(env);
    expect(found && [found.family, found.rank, found.size, found.localRank, found.localSize]).toEqual(expected);
  });

  it('names a variable that is no number', () => {
    expect(() => readLauncher({ PMI_SIZE: 'two', PMI_RANK: '0' })).toThrow(/PMI_SIZE is "two", not a number/);
  });
});

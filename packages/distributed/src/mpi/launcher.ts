// What the launcher that started this process says of the run, in variables of the environment. Reads nothing else.
import { XMoEError } from '@xmoe/core';

/** The two kinds of MPI: their handles differ. */
export type MpiFamily = 'Open MPI' | 'MPICH';

/** The place of a process in its run. */
export interface Launched {
  /** Absent where a batch system started it, which knows both. */
  readonly family: MpiFamily | undefined;
  readonly rank: number;
  readonly size: number;
  /** Among the processes on the same host. */
  readonly localRank: number;
  readonly localSize: number;
  /** How it is called in messages. */
  readonly by: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Names of size, rank, local rank and local size. Open MPI's come first: its launcher may itself be started by a batch system. */
const LAUNCHERS: readonly { family: MpiFamily | undefined; by: string; names: readonly [string, string, string, string] }[] = [
  { family: 'Open MPI', by: 'mpirun of Open MPI', names: ['OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_LOCAL_RANK', 'OMPI_COMM_WORLD_LOCAL_SIZE'] },
  { family: 'MPICH', by: 'mpirun of MPICH', names: ['PMI_SIZE', 'PMI_RANK', 'MPI_LOCALRANKID', 'MPI_LOCALNRANKS'] },
  // Of a step, not of the allocation: the script of a job sees the latter and is one process.
  { family: undefined, by: 'srun', names: ['SLURM_STEP_NUM_TASKS', 'SLURM_PROCID', 'SLURM_LOCALID', 'SLURM_NTASKS_PER_NODE'] },
];

/** @throws XMoEError `config` for variables that are no numbers; undefined where no launcher started this process, or one process alone by srun */
export function readLauncher(env: Environment): Launched | undefined {
  for (const { family, by, names } of LAUNCHERS) {
    const [size, rank, localRank, localSize] = names.map((name) => countIn(env, name));
    if (size === undefined || rank === undefined || (family === undefined && size === 1)) continue;
    return { family, by, rank, size, localRank: localRank ?? rank, localSize: Math.min(size, localSize ?? size) };
  }
  return undefined;
}

function countIn(env: Environment, name: string): number | undefined {
  const text = env[name];
  if (text === undefined || text === '') return undefined;
  if (!/^\d+$/.test(text)) throw new XMoEError('config', `${name} is ${JSON.stringify(text)}, not a number`, { op: 'mpi', hint: 'it is set by the launcher: start the run by mpirun or srun' });
  return Number(text);
}

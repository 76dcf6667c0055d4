// From what a launcher says to a Comm: a run of one without a launcher, MPI with one, or a refusal that says what does not fit.
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { XMoEError } from '@xmoe/core';
import type { Comm } from '../comm.js';
import { SoloComm } from '../solo-comm.js';
import { findMpi, ignoresLauncher, MPI_VARIABLE, type FoundMpi } from './find-mpi.js';
import { readLauncher, type Launched } from './launcher.js';
import { MpiComm } from './mpi-comm.js';
import { createWatchdog } from './watchdog.js';
import { OPERATIONS, type MpiWorld } from './world.js';

export interface OpenCommOptions {
  /** A rank that others wait for so long, or that waits itself, ends the run. Default: `XMOE_COMM_TIMEOUT`, else 1800. */
  readonly timeoutSeconds?: number;
}

export interface OpenedComm {
  readonly comm: Comm;
  /** Absent where no launcher started this process. */
  readonly launched?: Launched;
  /** What carries the numbers, for people. */
  readonly description: string;
}

const TIMEOUT_VARIABLE = 'XMOE_COMM_TIMEOUT';
const DEFAULT_TIMEOUT = 1800;

/** Calls of MPI come from one thread, but for MPI_Abort of the watchdog. */
const THREAD_MULTIPLE = 3;

/**
 * The run that this process is part of. MPI is loaded only where a launcher (mpirun of Open MPI or MPICH, srun) started it; once per process.
 * @throws XMoEError `backend` without koffi or a library; `config` where library and launcher do not belong together
 */
export function openComm({ timeoutSeconds }: OpenCommOptions = {}): OpenedComm {
  const launched = ignoresLauncher(process.env) ? undefined : readLauncher(process.env);
  const timeout = timeoutSeconds ?? readTimeout();
  if (launched === undefined) return { comm: new SoloComm((code) => process.exit(code)), description: 'one process' };
  const mpi = findMpi(launched.family);
  prepareEnvironment(launched, mpi);
  const { abi } = mpi;
  const flag: [number] = [0];
  abi.call.Initialized(flag);
  if (flag[0] !== 0) throw new XMoEError('backend', 'MPI was initialised before in this process', { op: 'mpi', hint: 'open one Comm per process' });
  const watchdog = createWatchdog({
    rank: launched.rank, family: abi.family, timeoutSeconds: timeout, operations: OPERATIONS,
    abort: { caller: mpi.caller.file, library: mpi.library, declaration: abi.abortDeclaration, world: abi.world },
  });
  watchdog.enter('starts');
  const provided: [number] = [0];
  const code = abi.call.Init_thread(null, null, THREAD_MULTIPLE, provided);
  if (code !== 0 || provided[0] !== THREAD_MULTIPLE) {
    throw new XMoEError('backend', `${abi.version} does not start (code ${code}, threads ${provided[0]} of ${THREAD_MULTIPLE})`, { op: 'mpi', hint: 'use a build of it for several threads' });
  }
  watchdog.enter('computes');
  const world: MpiWorld = { abi, watchdog, last: Promise.resolve(), pending: 0, closed: false, unhurried: 0, spent: 0 };
  const comm = new MpiComm(world, abi.world);
  checkLaunched(comm, launched, mpi);
  return { comm, launched, description: `${abi.version}, ${launched.size} ${launched.size === 1 ? 'rank' : 'ranks'}` };
}

/** The library and the launcher of different MPIs do not find each other: every process would be the only one, and all write one run. */
function checkLaunched({ rank, size }: Comm, launched: Launched, { abi, library }: FoundMpi): void {
  if (size === launched.size && rank === launched.rank) return;
  throw new XMoEError('config', `this is process ${launched.rank} of ${launched.size} for ${launched.by}, but rank ${rank} of ${size} for ${library} (${abi.version})`, {
    op: 'mpi', hint: `start the run with the launcher of that MPI, or let ${MPI_VARIABLE} name the library of the launcher`,
  });
}

/** What MPI reads when it starts. What is set already, stays. */
function prepareEnvironment({ localSize }: Launched, { abi }: FoundMpi): void {
  if (abi.family !== 'Open MPI') return;
  // Without the right to read another process it warns at each start, and copies twice anyway.
  if (!mayReadOthers()) process.env.OMPI_MCA_btl_vader_single_copy_mechanism ??= 'none';
  // Whoever waits leaves the core to those that are waited for.
  if (localSize >= availableParallelism()) process.env.OMPI_MCA_mpi_yield_when_idle ??= '1';
}

/** CAP_SYS_PTRACE, which containers lack. */
const PTRACE_BIT = 19n;

function mayReadOthers(): boolean {
  try {
    const held = /^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    return held !== undefined && ((BigInt(`0x${held}`) >> PTRACE_BIT) & 1n) === 1n;
  } catch {
    return true;
  }
}

function readTimeout(): number {
  const text = process.env[TIMEOUT_VARIABLE];
  if (text === undefined || text === '') return DEFAULT_TIMEOUT;
  const seconds = Number(text);
  if (!Number.isFinite(seconds) || seconds < 1) throw new XMoEError('config', `${TIMEOUT_VARIABLE} is ${JSON.stringify(text)}`, { op: 'mpi', hint: 'seconds from 1' });
  return seconds;
}

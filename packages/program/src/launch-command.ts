// launch: a command of the program as several ranks. And what doctor --mpi asks each MPI: whether two ranks find each other and add up.
import { availableParallelism } from 'node:os';
import { XMoEError } from '@xmoe/core';
import { askLauncher, findLauncher, launchLine, MPI_FAMILIES, openComm, runLauncher, type MpiFamily } from '@xmoe/distributed/node';
import type { Terminal } from './terminal.js';

export interface LaunchOptions {
  ranks: number;
  hosts?: string;
  mpi?: string;
}

/** By the names of --mpi. */
const FAMILIES: Readonly<Record<string, MpiFamily>> = { openmpi: 'Open MPI', mpich: 'MPICH' };
export const MPI_NAMES = Object.keys(FAMILIES);

/** This program, as it was started. */
const thisProgram = (): string[] => [process.execPath, ...process.execArgv, process.argv[1]!];
const here = () => ({ cores: availableParallelism(), isRoot: process.getuid?.() === 0, env: process.env });

/** @throws XMoEError what is wrong with the options, or that there is no launcher */
export async function launchCommand(terminal: Terminal, command: readonly string[], { ranks, hosts, mpi }: LaunchOptions): Promise<void> {
  if (command[0] === 'launch') throw new XMoEError('config', 'launch starts other commands, not itself', { hint: 'launch -n 4 -- train …' });
  const launcher = findLauncher(mpi === undefined ? undefined : FAMILIES[mpi]);
  terminal.outliveReaders();
  if (terminal.json) terminal.resultElsewhere();
  const asked = terminal.json && !command.includes('--json') ? [...command, '--json'] : command;
  terminal.exitCode = await runLauncher(launcher, launchLine(launcher, { ...here(), ranks, command: [...thisProgram(), ...asked], ...(hosts === undefined ? {} : { hosts }) }));
}

/** Name of the hidden command that ranks of `doctor --mpi` run. */
export const CHECK_COMMAND = 'mpi-check';
const CHECK_RANKS = 2;
const CHECK_SECONDS = 60;

/** Each MPI, in one line: what works, or why it does not. */
export function mpiFindings(): [name: string, text: string][] {
  return MPI_FAMILIES.map((family) => [family, checkMpi(family)]);
}

function checkMpi(family: MpiFamily): string {
  try {
    const launcher = findLauncher(family);
    const args = launchLine(launcher, { ...here(), ranks: CHECK_RANKS, command: [...thisProgram(), CHECK_COMMAND] });
    const { code, output, messages } = askLauncher(launcher, args, CHECK_SECONDS);
    if (code === 0 && output.startsWith('works: ')) return `${output.trim()} by ${launcher.file}`;
    return `no: ${/error: (.*)/.exec(messages)?.[1] ?? `${launcher.file} ended with ${code ?? `no code within ${CHECK_SECONDS} s`}`}`;
  } catch (error) {
    return `no: ${(error as Error).message}${error instanceof XMoEError && error.hint ? `; ${error.hint}` : ''}`;
  }
}

/** One of the ranks: adds what all bring, and the first says what it found. */
export async function checkCommand(terminal: Terminal): Promise<void> {
  const { comm, description } = openComm({ timeoutSeconds: CHECK_SECONDS });
  const values = Float32Array.from({ length: 1000 }, (_, index) => index + comm.rank);
  await comm.allReduce(values, 'sum');
  const expected = 999 * comm.size + (comm.size * (comm.size - 1)) / 2;
  if (values[999] !== expected) throw new XMoEError('backend', `${description}: a sum over ranks is ${values[999]} instead of ${expected}`);
  await comm.close();
  if (comm.rank === 0) terminal.output.write(`works: ${description}\n`);
}

// Finds a launcher on the PATH and runs it: signals that ask to stop reach the ranks in the form that it hands on, and its end is ours.
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { constants as system } from 'node:os';
import { delimiter, join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import type { MpiFamily } from '../mpi/launcher.js';
import { guardLauncher } from './guard.js';
import type { Launcher } from './launch-line.js';

/** Names by family, the surest first. What `mpirun` is, it says itself. */
const NAMES: Readonly<Record<MpiFamily, readonly string[]>> = { 'Open MPI': ['mpirun.openmpi', 'mpirun'], MPICH: ['mpirun.mpich', 'mpiexec.hydra', 'mpirun'] };
export const MPI_FAMILIES = Object.keys(NAMES) as MpiFamily[];

const VERSION_MILLISECONDS = 20_000;

/** A launcher of `family`, or of the first that is there. @throws XMoEError `backend` where there is none */
export function findLauncher(family?: MpiFamily, env: NodeJS.ProcessEnv = process.env): Launcher {
  for (const wanted of family === undefined ? MPI_FAMILIES : [family]) {
    for (const name of NAMES[wanted]) {
      const file = onPath(name, env);
      if (file !== undefined && (name !== 'mpirun' || familyOf(file) === wanted)) return { family: wanted, file };
    }
  }
  throw new XMoEError('backend', `there is no launcher of ${family ?? MPI_FAMILIES.join(' or ')} on the PATH`, { op: 'launch', hint: `install one (apt install ${family === 'MPICH' ? 'mpich' : 'openmpi-bin'})` });
}

function onPath(name: string, { PATH = '' }: NodeJS.ProcessEnv): string | undefined {
  return PATH.split(delimiter).filter((folder) => folder !== '').map((folder) => join(folder, name)).find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return statSync(file).isFile();
    } catch {
      return false;
    }
  });
}

function familyOf(file: string): MpiFamily | undefined {
  const { stdout } = spawnSync(file, ['--version'], { encoding: 'utf8', timeout: VERSION_MILLISECONDS });
  return /Open MPI/.test(stdout) ? 'Open MPI' : /HYDRA|Intel/i.test(stdout) ? 'MPICH' : undefined;
}

/** The signal that a launcher hands on to its ranks, all of which take it for a request to save and stop. Others it takes for itself. */
const HANDED_ON: Readonly<Record<MpiFamily, NodeJS.Signals>> = { 'Open MPI': 'SIGUSR2', MPICH: 'SIGTERM' };

const ASKING: readonly NodeJS.Signals[] = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2'];
/** A second one of these ends all at once. */
const INSISTENT: readonly NodeJS.Signals[] = ['SIGINT', 'SIGQUIT', 'SIGTERM'];

/**
 * Runs `launcher` with `args` on the terminal of this process until it ends. In a process group of its own: Ctrl-C is ours to hand on. Where this process
 * is killed, ranks are asked to stop all the same.
 * @returns its exit code, or 128 + n where signal n asked this process to stop
 */
export function runLauncher({ file, family }: Launcher, args: readonly string[]): Promise<number> {
  const child = spawn(file, args, { stdio: 'inherit', detached: true });
  const guard = child.pid === undefined ? undefined : guardLauncher(child.pid, HANDED_ON[family]);
  let asked: NodeJS.Signals | undefined;
  const hear = (signal: NodeJS.Signals): void => {
    if (asked !== undefined && INSISTENT.includes(signal)) child.kill('SIGKILL'); // ranks end with their launcher
    else if (asked === undefined) child.kill(HANDED_ON[family]);
    asked ??= signal;
  };
  for (const signal of ASKING) process.on(signal, hear);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      guard?.release();
      for (const name of ASKING) process.off(name, hear);
      const by = asked ?? signal;
      resolve(by === null ? (code ?? 1) : 128 + system.signals[by]);
    });
  });
}

/** Runs `launcher` and collects what it says, for at most `seconds`. */
export function askLauncher({ file }: Launcher, args: readonly string[], seconds: number): { code: number | null; output: string; messages: string } {
  const { status, stdout, stderr, error } = spawnSync(file, args, { encoding: 'utf8', timeout: seconds * 1000, killSignal: 'SIGKILL' });
  return { code: status, output: stdout ?? '', messages: `${stderr ?? ''}${error ? error.message : ''}` };
}

// The launchers that tests start ranks with: those of the machine, or those that scripts/install-mpi.sh unpacked; and the reason where there are none.
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { MpiFamily } from '../src/mpi/launcher.js';

const unpacked = fileURLToPath(new URL('../../../.xmoe/mpi/env.sh', import.meta.url));

/** Of both MPIs; Open MPI binds each rank to one core, counts cores as places and wants to be told that root is meant. */
const COMMANDS: Record<MpiFamily, { name: string; flags: readonly string[] }> = {
  'Open MPI': { name: 'mpirun.openmpi', flags: ['--allow-run-as-root', '--oversubscribe', '--bind-to', 'none'] },
  MPICH: { name: 'mpirun.mpich', flags: [] },
};

/** The environment in which the launchers work. */
export function mpiEnvironment(): NodeJS.ProcessEnv {
  const env = { ...process.env };
  if (!existsSync(unpacked)) return env;
  for (const [, name, value] of readFileSync(unpacked, 'utf8').matchAll(/^export (\w+)="?(.*?)"?$/gm)) {
    env[name!] = value!.replace(/\$\{?(\w+)(?::\+:\$\w+\})?/g, (_, other: string) => process.env[other] ?? '').replace(/:$/, '');
  }
  return env;
}

const onPath = (name: string, { PATH = '' }: NodeJS.ProcessEnv): boolean => PATH.split(delimiter).some((folder) => existsSync(join(folder, name)));

export const MPIS = Object.keys(COMMANDS) as MpiFamily[];

/** The MPIs whose tests are skipped here; says why. */
export function missingMpis(): MpiFamily[] {
  const env = mpiEnvironment();
  const missing = MPIS.filter((family) => !onPath(COMMANDS[family].name, env));
  if (missing.length > 0) process.stdout.write(`${missing.join(' and ')} not tested: no ${missing.map((family) => COMMANDS[family].name).join(', no ')}; scripts/install-mpi.sh fetches them\n`);
  return missing;
}

export interface RanksResult {
  readonly stdout: string;
  readonly stderr: string;
  /** Of the launcher. */
  readonly code: number;
}

export interface RanksOptions {
  readonly ranks: number;
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly seconds?: number;
}

/** Where the bundles of `test/ranks` lie: beside the package's koffi. Sources would be compiled by every rank. */
const bundles = fileURLToPath(new URL('../node_modules/.cache/ranks/', import.meta.url));

const made = new Map<string, Promise<string>>();

/** Once per program: tests run at the same time, and a rank that found a bundle just being written would find an empty program. */
function bundleOf(program: string): Promise<string> {
  const known = made.get(program) ?? makeBundle(program);
  made.set(program, known);
  return known;
}

async function makeBundle(program: string): Promise<string> {
  const file = join(bundles, `${program}-${process.pid}.mjs`);
  const source = fileURLToPath(new URL(`ranks/${program}.ts`, import.meta.url));
  await build({ entryPoints: [source], outfile: file, bundle: true, format: 'esm', platform: 'node', conditions: ['@xmoe/source'], logLevel: 'warning' });
  return file;
}

/** Starts `program`, a file of `test/ranks`, as ranks under the launcher of `family`. */
export async function runRanks(family: MpiFamily, program: string, { ranks, args = [], env = {}, seconds = 60 }: RanksOptions): Promise<RanksResult> {
  const { name, flags } = COMMANDS[family];
  return run(name, [...flags, '-n', String(ranks), process.execPath, '--expose-gc', await bundleOf(program), ...args], env, seconds);
}

/** Starts `program` as one process without a launcher, whose variables `env` may hold. */
export async function runAlone(program: string, { args = [], env = {}, seconds = 60 }: Omit<RanksOptions, 'ranks'>): Promise<RanksResult> {
  return run(process.execPath, ['--expose-gc', await bundleOf(program), ...args], env, seconds);
}

/** A launcher that runs; it is ended with the tests of the file. */
export interface Launcher {
  readonly child: ChildProcess;
  readonly ended: Promise<RanksResult>;
}

/** Starts `command` as ranks, for tests that do something meanwhile. @param input of the first */
export function startRanks(family: MpiFamily, ranks: number, command: readonly string[], env: NodeJS.ProcessEnv = {}, input = ''): Launcher {
  const { name, flags } = COMMANDS[family];
  return startLauncher([name, ...flags, '-n', String(ranks), ...command], env, input);
}

/** The same by a command line that starts ranks itself. */
export function startLauncher([file, ...args]: readonly string[], env: NodeJS.ProcessEnv = {}, input = ''): Launcher {
  const child = spawn(file!, args, { env: { ...mpiEnvironment(), ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.on('error', () => undefined).end(input); // a launcher that refuses reads nothing
  const texts = { stdout: '', stderr: '' };
  child.stdout.on('data', (data: Buffer) => (texts.stdout += data.toString()));
  child.stderr.on('data', (data: Buffer) => (texts.stderr += data.toString()));
  return { child, ended: once(child, 'close').then(([code]) => ({ ...texts, code: (code as number | null) ?? 128 })) };
}

function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv, seconds: number): Promise<RanksResult> {
  return new Promise((resolve) => {
    execFile(command, args, { env: { ...mpiEnvironment(), ...env }, timeout: seconds * 1000, killSignal: 'SIGKILL', maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      resolve({ stdout, stderr, code: error === null ? 0 : typeof error.code === 'number' ? error.code : 128 });
    });
  });
}

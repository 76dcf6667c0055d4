// Starts a program of the project as a process, with a fault in it if asked, and collects what it says. Judges nothing.
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { programCommand } from '@xmoe/testing/programs';
import type { Launch, ProgramName } from './result.js';

const root = fileURLToPath(new URL('../', import.meta.url));
const injector = new URL('./inject.mjs', import.meta.url).href;
const FOLDERS: Readonly<Record<ProgramName, string>> = { 'xmoe-lm': 'lm-pretrain', 'xmoe-nmt': 'nmt' };

/** What {@link spawnProgram} puts into a process; see inject.mjs. */
export interface Fault {
  under: string;
  and?: string;
  calls?: readonly string[];
  mode: 'count' | 'kill' | 'kill-after' | 'torn' | 'fail' | 'full';
  at?: number;
  times?: number;
  code?: string;
  log?: string;
  fired?: string;
}

/** The programs as `npm run build` left them. */
export function builtPrograms(): Launch {
  return { 'xmoe-lm': [builtCli('xmoe-lm')], 'xmoe-nmt': [builtCli('xmoe-nmt')] };
}

/** The programs as tests start them. */
export function testedPrograms(): Launch {
  const from = (name: ProgramName): string[] => programCommand(new URL(`../apps/${FOLDERS[name]}/src/cli.ts`, import.meta.url));
  return { 'xmoe-lm': from('xmoe-lm'), 'xmoe-nmt': from('xmoe-nmt') };
}

const builtCli = (name: ProgramName): string => join(root, 'apps', FOLDERS[name], 'dist', 'cli.js');

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
  readonly messages: string;
}

export interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

/** How long one small run may take before it counts as hung. */
const PATIENCE_MS = 300_000;

/** Starts a program with one thread. A hung one is killed and ends with the signal SIGABRT. */
export function spawnProgram(command: readonly string[], args: readonly string[], { fault, environment = {} }: { fault?: Fault; environment?: Readonly<Record<string, string>> } = {}): Started {
  const preload = fault ? ['--import', injector] : [];
  const child = spawn(process.execPath, [...preload, ...command, ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, XMOE_THREADS: '1', ...environment, ...(fault ? { XMOE_FAULT: JSON.stringify(fault) } : {}) },
  });
  const text = { output: '', messages: '' };
  child.stdout.on('data', (data: Buffer) => (text.output += data.toString()));
  child.stderr.on('data', (data: Buffer) => (text.messages += data.toString()));
  const hung = setTimeout(() => child.kill('SIGABRT'), PATIENCE_MS);
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (code, signal) => {
      clearTimeout(hung);
      resolve({ code, signal, ...text });
    });
  });
  return { child, ended };
}

/** Whether the fault of a process struck: it leaves the file that {@link Fault.fired} names. */
export const hasFired = (fault: Fault): boolean => fault.fired !== undefined && existsSync(fault.fired);

export interface LoggedCall {
  readonly name: string;
  readonly path: string;
}

/** The calls that a fault of mode `count` logged, in order. */
export function loggedCalls(log: string): LoggedCall[] {
  return readFileSync(log, 'utf8').trimEnd().split('\n').map((line) => {
    const [name = '', path = ''] = line.split('\t');
    return { name, path };
  });
}

/** Numbers, from 1, of the calls worth a fault: of the many writes of one file in a row the first and the last. */
export function placesOf(calls: readonly LoggedCall[]): number[] {
  const isWrite = (at: number, path: string): boolean => calls[at]?.name === 'write' && calls[at]!.path === path;
  return calls.flatMap(({ path }, at) => (isWrite(at - 1, path) && isWrite(at, path) && isWrite(at + 1, path) ? [] : [at + 1]));
}

// What the tests of the program share: a folder, a small corpus, the program run here or as a process of its own. No tests.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll } from 'vitest';
import { runProgram } from '../src/program.js';

/** `path(name)` in a fresh folder that is removed after the tests of the file. */
export function temporaryFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'xmoe-lm-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return (...names: string[]): string => join(folder, ...names);
}

const WORDS = 'the a of to in king queen house war peace people state good great new old law river sea land café'.split(' ');

/** Documents of words that follow each other with a pattern, always the same. */
export function smallTexts(documents: number): string[] {
  let seed = 7;
  const random = (): number => (seed = (seed * 48271) % 2147483647) / 2147483647;
  return Array.from({ length: documents }, () => {
    let word = 0;
    const words = Array.from({ length: 60 }, () => {
      word = random() < 0.7 ? (word * 5 + 3) % WORDS.length : Math.floor(random() * random() * WORDS.length);
      return WORDS[word]!;
    });
    return `${words.join(' ')}.`;
  });
}

/** Writes JSON lines of small documents and returns the path. */
export function writeCorpus(path: string, documents = 60): string {
  writeFileSync(path, smallTexts(documents).map((text) => `${JSON.stringify({ text })}\n`).join(''));
  return path;
}

/** Flags for a model, but for its experts, that takes milliseconds a step, with everything on that uses random numbers. */
export const SMALL = [
  '--backend', 'tfjs:wasm', '--set', 'data.tokenizer.vocabularySize=280', '--validation-fraction', '0.1', '--test-fraction', '0.1',
  '--context-length', '16', '--width', '16', '--heads', '2', '--hidden', '32', '--dropout', '0.1',
  '--batch-size', '2', '--accumulation', '2', '--warmup-steps', '2', '--eval-every', '20', '--eval-windows', '4', '--test-windows', '20',
  '--routing-every', '2',
];

/** Its experts. */
export const EXPERTS = ['--experts', '4', '--expert-hidden', '16'];

export interface Ended {
  code: number | null;
  output: string;
  messages: string;
}

/** Runs the program in this process. */
export async function runHere(...args: string[]): Promise<Ended & { code: number }> {
  const text = { output: '', messages: '' };
  const stream = (name: keyof typeof text) => ({ write: (part: string) => void (text[name] += part) });
  const code = await runProgram(args, { output: stream('output'), messages: stream('messages') });
  return { code, ...text };
}

/** Runs the program here and raises an error with its messages unless it ends with 0. */
export async function mustRun(...args: string[]): Promise<Ended> {
  const ended = await runHere(...args);
  if (ended.code !== 0) throw new Error(`${args.join(' ')} ended with ${ended.code}:\n${ended.messages}`);
  return ended;
}

export interface Running extends Ended {
  child: ChildProcess;
  /** Resolves when it has ended. */
  ended: Promise<Ended>;
}

const children = new Set<ChildProcess>();
afterAll(() => children.forEach((child) => child.kill('SIGKILL'))); // those that a failed test left

const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
const cli = fileURLToPath(new URL('../src/cli.ts', import.meta.url));

/** Starts the program as a process of its own. */
export function startProcess(...args: string[]): Running {
  const child = spawn(process.execPath, ['--conditions=@xmoe/source', '--import', loader, cli, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  children.add(child);
  child.once('close', () => children.delete(child));
  const running: Running = { child, code: null, output: '', messages: '', ended: Promise.resolve({ code: null, output: '', messages: '' }) };
  child.stdout.on('data', (data: Buffer) => (running.output += data.toString()));
  child.stderr.on('data', (data: Buffer) => (running.messages += data.toString()));
  running.ended = once(child, 'close').then(([code]) => {
    running.code = code as number | null;
    return running;
  });
  return running;
}

/** Waits until `condition` holds; fails when the process ends before. */
export async function waitUntil(running: Running, condition: () => boolean): Promise<void> {
  while (!condition()) {
    if (running.child.exitCode !== null || running.child.signalCode !== null) throw new Error(`it ended too early:\n${running.messages}`);
    await sleep(1);
  }
}

interface Row {
  kind: string;
  step: number;
  loss?: number;
  gradientNorm?: number;
  learningRate?: number;
}

/** The rows of a run's metrics; a line that is being written is left out. */
export function metricsOf(run: string): Row[] {
  const path = join(run, 'metrics.jsonl');
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8').split('\n').slice(0, -1).map((line) => JSON.parse(line) as Row);
}

/** The last step that a run's metrics tell of. */
export const lastStep = (run: string): number => metricsOf(run).findLast(({ kind }) => kind === 'step')?.step ?? 0;

/** Names of a run's checkpoints, oldest first. */
export function checkpointsOf(run: string): string[] {
  const directory = join(run, 'checkpoints');
  return existsSync(directory) ? readdirSync(directory).filter((name) => name.startsWith('step-')).sort() : [];
}

/** What must not depend on interruptions: hashes of the newest checkpoint's tensors, its state, and every loss. */
export function fingerprint(run: string) {
  const directory = join(run, 'checkpoints', checkpointsOf(run).at(-1)!);
  const manifest = JSON.parse(readFileSync(join(directory, 'manifest.json'), 'utf8')) as { files: Record<string, { sha256: string }> };
  const { state } = JSON.parse(readFileSync(join(directory, 'state.json'), 'utf8')) as { state: { trainer: object; batches: object } };
  return {
    files: ['parameters.safetensors', 'optimizer.safetensors', 'tokenizer.json'].map((name) => manifest.files[name]!.sha256),
    trainer: state.trainer,
    batches: state.batches,
    rows: metricsOf(run).map(({ kind, step, loss, gradientNorm, learningRate }) => ({ kind, step, loss, gradientNorm, learningRate })),
  };
}

// Runs a program in this process or as one of its own, and collects what it writes. Framework-light: pass vitest's afterAll.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { programCommand } from './command.js';

/** Registers what is done after the tests of a file. */
export type After = (fn: () => void) => void;

/** `path(name)` in a fresh folder that is removed after the tests of the file. */
export function temporaryFolder(after: After): (...names: string[]) => string {
  const folder = mkdtempSync(join(tmpdir(), 'xmoe-program-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  return (...names) => join(folder, ...names);
}

export interface Ended {
  code: number | null;
  output: string;
  messages: string;
}

export interface Running extends Ended {
  child: ChildProcess;
  /** Resolves when it has ended. */
  ended: Promise<Ended>;
}

interface Stream {
  write(text: string): void;
}

export interface HarnessOptions {
  /** Runs a command line with these streams and this input. */
  run(args: readonly string[], streams: { output: Stream; messages: Stream }, input: () => Readable): Promise<number>;
  /** URL of the source of the executable. */
  cli: URL;
  after: After;
}

export interface Harness {
  /** Runs the program in this process. */
  runHere(...args: string[]): Promise<Ended & { code: number }>;
  /** As {@link runHere}, and raises an error with its messages unless it ends with 0. */
  mustRun(...args: string[]): Promise<Ended>;
  /** Runs it here with text or bytes on its standard input. */
  feed(input: string | Uint8Array, ...args: string[]): Promise<Ended & { code: number }>;
  /** Starts it as a process of its own; its input is `child.stdin`. */
  startProcess(...args: string[]): Running;
}

export function createHarness({ run, cli, after }: HarnessOptions): Harness {
  const children = new Set<ChildProcess>();
  after(() => children.forEach((child) => child.kill('SIGKILL'))); // those that a failed test left

  const feed: Harness['feed'] = async (input, ...args) => {
    const text = { output: '', messages: '' };
    const stream = (name: keyof typeof text): Stream => ({ write: (part) => void (text[name] += part) });
    const bytes = typeof input === 'string' ? Buffer.from(input) : input;
    const code = await run(args, { output: stream('output'), messages: stream('messages') }, () => Readable.from(bytes.length > 0 ? [bytes] : [], { objectMode: false }));
    return { code, ...text };
  };
  return {
    feed,
    runHere: (...args) => feed('', ...args),
    async mustRun(...args) {
      const ended = await feed('', ...args);
      if (ended.code !== 0) throw new Error(`${args.join(' ')} ended with ${ended.code}:\n${ended.messages}`);
      return ended;
    },
    startProcess(...args) {
      const child = spawn(process.execPath, [...programCommand(cli), ...args], { stdio: 'pipe' });
      children.add(child);
      child.once('close', () => children.delete(child));
      const running: Running = { child, code: null, output: '', messages: '', ended: Promise.resolve({ code: null, output: '', messages: '' }) };
      child.stdout.on('data', (data: Buffer) => (running.output += data.toString()));
      child.stderr.on('data', (data: Buffer) => (running.messages += data.toString()));
      child.stdin.on('error', () => undefined); // it may end before it has read all
      running.ended = once(child, 'close').then(([code]) => {
        running.code = code as number | null;
        return running;
      });
      return running;
    },
  };
}

/** Waits until `condition` holds; fails when the process ends before. */
export async function waitUntil(running: Running, condition: () => boolean): Promise<void> {
  while (!condition()) {
    if (running.child.exitCode !== null || running.child.signalCode !== null) throw new Error(`it ended too early:\n${running.messages}`);
    await sleep(1);
  }
}

// Starts a program as a process: its streams outlive their readers, and only its own words reach them. No command is here.
import { closeSync } from 'node:fs';
import { isatty } from 'node:tty';

/** A stream as programs write to it. */
export interface ProcessStream {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
}

export interface ProcessStreams {
  output: ProcessStream;
  messages: ProcessStream;
  /** From now on a reader of the output that goes away ends nothing: what counts is in files. */
  outliveReaders(): void;
}

/** As in the table of exit codes of programs, which is not loaded yet: `device` and `io`. */
const CANNOT_LOAD = 71;
const CANNOT_WRITE = 74;
const UNEXPECTED = 1;

/**
 * Loads a program and runs it on the streams of this process, whose exit code becomes what `run` returns.
 * @param load imports the program, and with it all libraries
 */
export async function startProgram<Program>(load: () => Promise<Program>, run: (program: Program, streams: ProcessStreams) => Promise<number>): Promise<void> {
  silenceOthers();
  outliveTerminal([0, 1, 2].filter((descriptor) => isatty(descriptor)));
  const streams = ownStreams();
  let program: Program;
  try {
    program = await load();
  } catch (error) {
    const short = error instanceof RangeError || /memory/i.test(String(error));
    const { message, stack = message } = error instanceof Error ? error : new Error(String(error));
    streams.messages.write(short ? `error: cannot load: ${message}\n  raise the limit on memory of this process (ulimit -v)\n` : `unexpected error: ${stack}\n`);
    process.exitCode = short ? CANNOT_LOAD : UNEXPECTED;
    return;
  }
  process.exitCode = await run(program, streams);
}

/** What libraries print, and the warnings of Node, which go the same way, are for those who develop with them. Errors still arrive as errors. */
function silenceOthers(): void {
  for (const name of ['debug', 'error', 'info', 'log', 'trace', 'warn'] as const) console[name] = () => undefined;
}

/**
 * When a process ends, Node puts its terminals back into the mode in which it found them, and aborts where that fails: the
 * exit code of a run whose terminal was closed would be lost. Terminals that are gone are therefore closed first.
 * @param terminals descriptors that were one at the start
 */
export function outliveTerminal(terminals: readonly number[], { isTerminal = isatty, close = closeSync }: { isTerminal?: (descriptor: number) => boolean; close?: (descriptor: number) => void } = {}): void {
  process.once('exit', () => {
    for (const descriptor of terminals) if (!isTerminal(descriptor)) close(descriptor);
  });
}

/** Without a listener a stream whose reader has gone away (`… | head`, a closed terminal) would end the process. */
function ownStreams(): ProcessStreams {
  let outlives = false;
  const { stdout, stderr } = process;
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (outlives) return;
    // A reader that has seen enough, or a terminal that was closed, is no error.
    if (error.code === 'EPIPE' || error.code === 'EIO') process.exit(0);
    stderr.write(`error: cannot write the output: ${error.message}\n`);
    process.exit(CANNOT_WRITE);
  });
  stderr.on('error', () => undefined);
  return { output: stdout, messages: stderr, outliveReaders: () => void (outlives = true) };
}

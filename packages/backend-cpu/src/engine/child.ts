// Asks a program in a child process, within a time: what it prints, or how it ended. V8 may end a process in the middle of anything;
// who must not be ended asks here.
import { nodeModule, nodeProcess, type ChildFailure } from './platform.js';

export interface ChildAnswer {
  /** What it printed, where it ended well. */
  readonly output?: string;
  /** How it ended otherwise. */
  readonly problem?: string;
  /**
   * How long another child would answer the same: `always` where it ended well or by an error of its own; `for a while` where it gave up or its time
   * was over, as a busy machine may have it; `not` where it did not start or someone ended it.
   */
  readonly holds: 'always' | 'for a while' | 'not';
}

/** Signals by which a process ends of itself. */
const CRASHES = ['SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGILL', 'SIGSEGV', 'SIGSYS', 'SIGTRAP'];

/** Runs this Node with `args`, for at most `milliseconds`. Switches of other code that this process was started with do not reach it. */
export async function askChild(args: readonly string[], milliseconds: number): Promise<ChildAnswer> {
  const { execFile } = await nodeModule('node:child_process');
  const { NODE_OPTIONS: _, ...env } = nodeProcess!.env;
  return new Promise((resolve) => {
    try {
      execFile(nodeProcess!.execPath, args, { env, timeout: milliseconds, killSignal: 'SIGKILL', windowsHide: true }, (error, output, errors) => {
        resolve(error === null ? { output, holds: 'always' } : failureOf(error, errors, milliseconds));
      });
    } catch (error) {
      resolve(neverStarted(error as ChildFailure));
    }
  });
}

function failureOf(error: ChildFailure, errors: string, milliseconds: number): ChildAnswer {
  if (error.killed) return { problem: `it took longer than ${milliseconds / 1000} s`, holds: 'for a while' };
  // A word is an error of the system's.
  if (typeof error.code === 'string') return neverStarted(error);
  const said = (/^# (Check failed: .*|Fatal .*)$/m.exec(errors.replace(/^# Fatal error in .*$/m, ''))?.[1] ?? errors.trim().split('\n')[0]).slice(0, 120);
  const problem = `it ended with ${error.signal ?? `exit status ${error.code}`}${said ? `: ${said}` : ''}`;
  if (error.signal) return { problem, holds: CRASHES.includes(error.signal) ? 'always' : 'not' };
  // 1 is an error of JavaScript; Windows tells crashes by numbers.
  return { problem, holds: error.code === 1 ? 'for a while' : 'always' };
}

const neverStarted = ({ code, message }: ChildFailure): ChildAnswer => ({ problem: `it could not be started: ${code ?? message}`, holds: 'not' });

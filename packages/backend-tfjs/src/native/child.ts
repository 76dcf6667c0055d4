// Child processes of the command: their output in one text, and an end with the command's own. Decides nothing.
import { spawn } from 'node:child_process';
import { XMoEError } from '@xmoe/core';

export interface ChildOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal;
}

export interface ChildResult {
  /** 127: it could not be started. */
  readonly code: number;
  readonly output: string;
}

/** Runs to its end. @throws XMoEError `interrupted` once `signal` has fired and the child is gone */
export function runChild(command: string, args: readonly string[], { cwd, env, signal }: ChildOptions = {}): Promise<ChildResult> {
  return new Promise((settle, refuse) => {
    const interrupted = (): XMoEError => new XMoEError('interrupted', 'stopped; nothing is left half-built', { op: 'tfjs-native', hint: 'the same command starts again' });
    if (signal?.aborted) return refuse(interrupted());
    // A group of its own: compilers and npm have children, and all of them must be gone before what they write is removed.
    const child = spawn(command, args, { cwd, env: env ?? process.env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    const chunks: Buffer[] = [];
    const stop = (): void => void (child.pid !== undefined && endGroup(child.pid));
    signal?.addEventListener('abort', stop, { once: true });
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
    const output = (): string => Buffer.concat(chunks).toString();
    child.on('error', (error) => settle({ code: 127, output: `${command}: ${error.message}\n` }));
    child.on('close', (code, ended) => {
      signal?.removeEventListener('abort', stop);
      if (signal?.aborted) refuse(interrupted());
      else settle({ code: code ?? 1, output: ended ? `${output()}\n${command} was ended by ${ended}\n` : output() });
    });
  });
}

function endGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGTERM');
  } catch {
    // gone already
  }
}

/** The last line that says something, for a message. */
export function lastWords(output: string): string {
  const lines = output.split('\n').map((line) => line.trim()).filter((line) => line !== '' && !/^(\[notice\]|npm (notice|error A complete log|warn))/i.test(line));
  const telling = lines.filter((line) => /error|fail|no matching|cannot|not found|refused|denied/i.test(line));
  return (telling[0] ?? lines.at(-1) ?? 'it said nothing').slice(0, 300);
}

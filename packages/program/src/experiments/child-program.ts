// Runs a command of the program as a process of its own, as a user would: what one run does to memory, threads or signals is its own.
import { spawn } from 'node:child_process';

export interface ChildEnded {
  readonly code: number;
  readonly output: string;
  /** The last lines that it wrote beside its output. */
  readonly messages: string;
}

export interface ChildProgram {
  readonly ended: Promise<ChildEnded>;
  /** Asks it to save and end. Not insistent: where a signal of the terminal has reached it as well, its save is not cut short. */
  stop(): void;
}

/** What is kept of the messages. */
const LAST_CHARACTERS = 4000;

/**
 * Starts this very executable with `args`. Where its parent alone is killed it goes on to the end of its run, which the next call then finds.
 * @param threads of the engine on the CPU; undefined: as the environment says
 */
export function startChild(args: readonly string[], threads: number | undefined): ChildProgram {
  const env = { ...process.env, ...(threads === undefined ? {} : { XMOE_THREADS: String(threads) }) };
  const child = spawn(process.execPath, [...process.execArgv, process.argv[1]!, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let [output, messages] = ['', ''];
  child.stdout.on('data', (data: Buffer) => void (output += data.toString()));
  child.stderr.on('data', (data: Buffer) => void (messages = (messages + data.toString()).slice(-LAST_CHARACTERS)));
  const ended = new Promise<ChildEnded>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code: code ?? 128, output, messages: signal === null ? messages : `${messages}\nended by ${signal}` }));
  });
  return { ended, stop: () => void child.kill('SIGHUP') };
}

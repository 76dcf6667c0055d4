// Ends a launcher whose parent is gone, whatever ended that: not even SIGKILL keeps the system from closing a pipe, and a small process waits at its other end.
import { spawn } from 'node:child_process';

/** Milliseconds from the request to stop until the launcher is killed: ranks end with the step that they are at, and save. */
export const PATIENCE = 60_000;

/** What the small process runs. Standard input that ends without a word means that this process is gone. */
const PROGRAM = `
const [pid, signal, patience] = process.argv.slice(1);
const send = (name) => { try { process.kill(Number(pid), name); } catch { process.exit(); } };
process.stdin.on('data', () => process.exit()).on('end', () => {
  send(signal);
  setTimeout(() => send('SIGKILL'), Number(patience));
  setInterval(() => send(0), 200);
});`;

export interface Guard {
  /** The launcher has ended. */
  release(): void;
}

/** Watches over the process `pid`: it gets `signal` when this process is gone, and SIGKILL after `patience` milliseconds more. */
export function guardLauncher(pid: number, signal: NodeJS.Signals, patience = PATIENCE): Guard {
  // In a group of its own: what is sent to all processes of a terminal is not for it. Options of ours are not either.
  const child = spawn(process.execPath, ['--eval', PROGRAM, String(pid), signal, String(patience)], {
    stdio: ['pipe', 'ignore', 'ignore'], detached: true, env: { ...process.env, NODE_OPTIONS: '' },
  });
  const { stdin } = child;
  for (const stream of [child, stdin]) stream.on('error', () => undefined); // without it a launcher is as it would be without a guard
  child.unref();
  return { release: () => void stdin.end('ended') };
}

// Starting child processes: quietly with captured output, or in the foreground with signals passed on.
// Knows nothing about pnpm or this repository.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';

const windows = process.platform === 'win32';

/**
 * Runs a command without a terminal and collects stdout and stderr in one text.
 * Resolves to `{ code, output }`; a command that cannot be started has code 127.
 */
export function capture(command, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    const chunks = [];
    child.stdout.on('data', (chunk) => chunks.push(chunk));
    child.stderr.on('data', (chunk) => chunks.push(chunk));
    child.on('error', (error) => resolve({ code: 127, output: `${command}: ${error.message}\n` }));
    child.on('close', (code, signal) => {
      const ending = signal ? `\n${command} was ended by ${signal}\n` : '';
      resolve({ code: code ?? exitCodeOf(signal), output: Buffer.concat(chunks).toString() + ending });
    });
  });
}

const exitCodeOf = (signal) => 128 + (constants.signals[signal] ?? 0);

// One key press can arrive twice: from the terminal and again from npm.
const SAME_KEY_PRESS_MS = 400;

/**
 * Runs a command in the foreground and resolves to its exit code. The child gets a process group of its own, so that
 * Ctrl-C reaches it once, from here, instead of once each from the terminal, npm and here: a trainer saves a
 * checkpoint on the first signal and quits on the second. This process waits until the child has ended.
 */
export function foreground(command, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: 'inherit', detached: !windows, ...options });
    const stop = passSignalsTo(child);
    child.on('error', (error) => {
      stop();
      process.stderr.write(`${command}: ${error.message}\n`);
      resolve(127);
    });
    child.on('close', (code, signal) => {
      stop();
      resolve(code ?? exitCodeOf(signal));
    });
  });
}

/** Passes signals on to the child; returns a function that ends this. */
function passSignalsTo(child) {
  const last = new Map();
  // A closed terminal is a request to stop: the child should save as for SIGTERM.
  const routes = { SIGINT: 'SIGINT', SIGTERM: 'SIGTERM', SIGHUP: 'SIGTERM' };
  const handlers = Object.entries(routes).map(([received, sent]) => [received, () => {
    // On Windows, Ctrl-C reaches every process of the console by itself: only stay alive.
    if (windows && received === 'SIGINT') return;
    const now = Date.now();
    if (now - (last.get(received) ?? 0) < SAME_KEY_PRESS_MS) return;
    last.set(received, now);
    child.kill(sent);
  }]);
  if (!windows) handlers.push(['SIGWINCH', () => child.kill('SIGWINCH')]);
  for (const [signal, handler] of handlers) process.on(signal, handler);
  return () => handlers.forEach(([signal, handler]) => process.off(signal, handler));
}

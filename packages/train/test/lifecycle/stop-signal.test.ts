// The first signal sets the flag, the second quits at once: with fake exits here, and with a real process.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { createStopSignal } from '../../src/lifecycle/stop-signal.js';

const root = fileURLToPath(new URL('../../../..', import.meta.url));

describe('createStopSignal', () => {
  it('remembers the first signal, exits on the second, and dispose removes the handlers', () => {
    const before = { SIGINT: process.listenerCount('SIGINT'), SIGTERM: process.listenerCount('SIGTERM') };
    const exits: number[] = [];
    const stops: string[] = [];
    const stop = createStopSignal({ exit: (code) => exits.push(code), onStop: (reason) => stops.push(reason) });
    expect([stop.requested, stop.reason, stop.exitCode]).toEqual([false, undefined, 0]);
    process.emit('SIGTERM', 'SIGTERM');
    expect([stop.requested, stop.reason, stop.exitCode, stop.abortSignal.aborted]).toEqual([true, 'SIGTERM', 143, true]);
    expect(exits).toEqual([]);
    process.emit('SIGINT', 'SIGINT');
    process.emit('SIGTERM', 'SIGTERM');
    expect(exits).toEqual([130, 143]);
    expect(stops).toEqual(['SIGTERM']);
    stop.dispose();
    expect({ SIGINT: process.listenerCount('SIGINT'), SIGTERM: process.listenerCount('SIGTERM') }).toEqual(before);
  });

  it.each([['SIGHUP', 129], ['SIGQUIT', 131], ['SIGUSR1', 138], ['SIGUSR2', 140]] as const)('hears %s, which ends with %i', (signal, code) => {
    const exits: number[] = [];
    const stop = createStopSignal({ exit: (exit) => exits.push(exit) });
    process.emit(signal, signal);
    expect([stop.reason, stop.exitCode]).toEqual([signal, code]);
    // A terminal that closes and a batch system send more than one: only those in haste, given twice, cut a save short.
    process.emit('SIGHUP', 'SIGHUP');
    process.emit('SIGUSR2', 'SIGUSR2');
    if (signal !== 'SIGQUIT') process.emit('SIGTERM', 'SIGTERM');
    expect(exits).toEqual([]);
    process.emit('SIGTERM', 'SIGTERM');
    expect(exits).toEqual([143]);
    stop.dispose();
  });

  it('works in a real process', async () => {
    const script = `
      import { createStopSignal } from './packages/train/src/lifecycle/stop-signal.js';
      const stop = createStopSignal({ onStop: (reason) => console.log('stopping', reason) });
      console.log('ready');
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], { cwd: root });
    const lines: string[] = [];
    child.stdout.on('data', (data: Buffer) => {
      lines.push(...data.toString().trim().split('\n'));
      child.kill('SIGINT'); // once at "ready", once more at "stopping"
    });
    expect(await once(child, 'exit')).toEqual([130, null]);
    expect(lines).toEqual(['ready', 'stopping SIGINT']);
  });
});

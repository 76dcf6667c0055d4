// A rank of which one fails or is away after some steps, in the way that the first argument names. Started by a launcher; no test file of its own.
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { byFirst, type BackgroundComm } from '../../src/index.js';
import { openComm, readLauncher } from '../../src/node.js';

const [way] = process.argv.slice(2);
process.stdout.write(`pid ${process.pid}\n`);
if (way === 'absent' && readLauncher(process.env)?.rank === 1) process.exit(3);
const { comm } = openComm();

const WAYS: Readonly<Record<string, () => unknown>> = {
  kill: () => process.kill(process.pid, 'SIGKILL'),
  throw: () => {
    throw new Error('rank 1 cannot go on');
  },
  abort: () => comm.abort(42),
  // The event loop of this one goes on.
  hang: () => sleep(60_000),
  // That of this one does not.
  spin: () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60_000),
  // Nothing of this one goes on: another must say so.
  stop: () => process.kill(process.pid, 'SIGSTOP'),
  // This one comes back.
  pause() {
    spawn('sh', ['-c', `sleep 2; kill -CONT ${process.pid}`], { stdio: 'ignore' });
    process.kill(process.pid, 'SIGSTOP');
  },
};

const finish = (background: BackgroundComm, isDone: () => boolean): unknown => background.finish(isDone);
const finishNow = (background: BackgroundComm, isDone: () => boolean): unknown => background.finishNow(isDone);

/** With what the other, which is stopped, does not send. */
const BESIDE: Readonly<Record<string, [way: () => unknown, finish: typeof finish]>> = {
  beside: [WAYS.stop!, finish], besideNow: [WAYS.stop!, finishNow], pauseBeside: [WAYS.pause!, finish], pauseBesideNow: [WAYS.pause!, finishNow],
};
const background = BESIDE[way!] ? await comm.background!() : null;

let total = 0;
let received: number[] = [];
for (let step = 0; step < 20; step++) {
  comm.note(`step ${step}`);
  if (step === 10 && comm.rank === 1) await WAYS[way!]?.();
  if (step === 10 && background) {
    const [go, end] = BESIDE[way!]!;
    if (comm.rank === 1) go();
    const [sends, receives] = [0, 1].map(() => [0, 1].map(() => new Float32Array(10).fill(comm.rank)));
    await end(background, background.exchange(0, sends!, receives!).isDone);
    received = receives!.map(([value]) => value!);
  }
  // Longer than the time-out, and no reason for it.
  if (step === 10 && way === 'unhurried') await byFirst(comm, () => sleep(4000));
  const values = new Float32Array(10).fill(comm.rank + step);
  await comm.allReduce(values, 'sum');
  total += values[9]!;
}
process.stdout.write(`rank ${comm.rank} is done, ${total}, ${received}\n`);
await comm.close();

// A rank of which one fails after some steps, in the way that the first argument names. Started by a launcher; no test file of its own.
import { setTimeout as sleep } from 'node:timers/promises';
import { byFirst, type BackgroundComm } from '../../src/index.js';
import { openComm } from '../../src/node.js';

const [way] = process.argv.slice(2);
const { comm } = openComm();
process.stdout.write(`pid ${process.pid}\n`);

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
};

/** With what the other, which is stopped, does not send. */
const BESIDE: Readonly<Record<string, (comm: BackgroundComm, isDone: () => boolean) => unknown>> = {
  beside: (background, isDone) => background.finish(isDone),
  besideNow: (background, isDone) => background.finishNow(isDone),
};
const background = BESIDE[way!] ? await comm.background!() : null;

for (let step = 0; step < 20; step++) {
  comm.note(`step ${step}`);
  if (step === 10 && comm.rank === 1) await WAYS[way!]?.();
  if (step === 10 && background) {
    if (comm.rank === 1) WAYS.stop!();
    const [sends, receives] = [0, 1].map(() => [0, 1].map(() => new Float32Array(10)));
    await BESIDE[way!]!(background, background.exchange(0, sends!, receives!).isDone);
  }
  // Longer than the time-out, and no reason for it.
  if (step === 10 && way === 'unhurried') await byFirst(comm, () => sleep(4000));
  await comm.allReduce(new Float32Array(10), 'sum');
}
process.stdout.write(`rank ${comm.rank} is done\n`);
await comm.close();

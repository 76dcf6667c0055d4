// Transfers beside a computation over MPI: messages from rank to rank on a communicator of their own, so that they never meet with the calls of a Comm. MPI
// moves them on when it is asked about them.
import { checkBackground, type BackgroundComm } from '../comm.js';
import type { Handle } from './abi.js';
import { begin, finishUntil, isDone, waitUntil, type Request } from './requests.js';
import { startWaiting, type MpiWorld } from './world.js';

/** @param handle of a communicator that nobody else uses, on which this process has this place */
export function createMpiBackground(world: MpiWorld, handle: Handle, { rank, size }: { readonly rank: number; readonly size: number }): BackgroundComm {
  const { abi } = world;
  const kind = abi.kinds.Float32Array;
  const message = (name: 'Isend' | 'Irecv', values: Float32Array, other: number, tag: number): Request => begin(abi, name, [values, values.length, kind, other, tag, handle]);
  return {
    rank,
    size,
    exchange(tag, sends, receives) {
      checkBackground(tag, sends, receives, { rank, size });
      const others = Array.from({ length: size - 1 }, (_, index) => (rank + 1 + index) % size);
      // Who waits for a message before it comes, gets it without a copy in between.
      let open = [...others.map((from) => message('Irecv', receives[from]!, from, tag)), ...others.map((to) => message('Isend', sends[to]!, to, tag))];
      if (receives[rank] !== sends[rank]) receives[rank]!.set(sends[rank]!);
      return { isDone: () => (open = open.filter((request) => !isDone(abi, request))).length === 0 };
    },
    async finish(done) {
      if (done()) return;
      const endWaiting = startWaiting(world, 'exchange');
      try {
        await finishUntil(done);
      } finally {
        endWaiting();
      }
    },
    finishNow(done) {
      if (done()) return;
      const endWaiting = startWaiting(world, 'exchange');
      try {
        waitUntil(done);
      } finally {
        endWaiting();
      }
    },
  };
}

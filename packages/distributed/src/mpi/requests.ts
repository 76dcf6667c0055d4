// Calls of MPI that do not wait, and how one waits for them: politely, since on a machine with more ranks than cores it is the others who are waited for.
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { XMoEError } from '@xmoe/core';
import { textFrom, type Handle, type MpiAbi, type MpiFunction } from './abi.js';

/** A call that is under way, with the arrays that it reads and writes. */
export interface Request {
  readonly handle: [Handle | null];
  readonly values: readonly unknown[];
}

/** Held until they are done, whoever has let go of them: MPI still reads and writes their arrays. */
const underWay = new Set<Request>();

type Begins = Exclude<Extract<MpiFunction, `I${string}`>, `Init${string}`>;

/** Calls a function of MPI that does not wait; `values` are all its arguments but the last, where it writes its request. */
export function begin(abi: MpiAbi, name: Begins, values: readonly unknown[]): Request {
  const request: Request = { handle: [null], values };
  checkCode(abi, name, abi.call[name](...values, request.handle));
  underWay.add(request);
  return request;
}

/** Milliseconds of asking at once, and of asking every turn of the event loop after a pause, before the questions are a millisecond apart. */
const [AT_ONCE, EVERY_TURN] = [0.2, 3];
const PAUSE = 0.05;
const nobody = new Int32Array(new SharedArrayBuffer(4));

/** Leaves the core to others. */
const pause = (): void => void Atomics.wait(nobody, 0, 0, PAUSE);

/** @throws XMoEError `io` with what MPI says of the code */
export function checkCode({ call }: MpiAbi, name: string, code: number): void {
  if (code === 0) return;
  const text = textFrom((buffer, length) => call.Error_string(code, buffer, length));
  throw new XMoEError('io', `MPI_${name} failed: ${text.split('\n')[0]!}`, { op: 'mpi', hint: 'the messages of the launcher say more' });
}

export function isDone(abi: MpiAbi, request: Request): boolean {
  if (!underWay.has(request)) return true;
  const flag: [number] = [0];
  checkCode(abi, 'Test', abi.call.Test(request.handle, flag, abi.statusIgnore));
  if (flag[0] === 0) return false;
  underWay.delete(request);
  return true;
}

/** The thread waits. */
export function waitUntil(done: () => boolean): void {
  const began = performance.now();
  while (!done()) if (performance.now() - began > AT_ONCE) pause();
}

/** The longer it takes, the less it asks; the event loop goes on. */
export async function finishUntil(done: () => boolean): Promise<void> {
  const began = performance.now();
  while (!done()) {
    const waited = performance.now() - began;
    if (waited < AT_ONCE) continue;
    if (waited < EVERY_TURN) pause();
    await (waited < EVERY_TURN ? nextTurn() : sleep(1));
  }
}

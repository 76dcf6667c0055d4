// A run of one process: every collective is with itself. No native code.
import { XMoEError } from '@xmoe/core';
import { checkExchange, checkParts, checkRoot, type Comm } from './comm.js';

/** The only rank of a run of one, which refuses what `MpiComm` refuses. */
export class SoloComm implements Comm {
  readonly rank = 0;
  readonly size = 1;
  readonly #exit: (code: number) => void;

  /** @param exit ends the process; default: throws, in a page there is none */
  constructor(exit: (code: number) => void = refuseToExit) {
    this.#exit = exit;
  }

  async allReduce(): Promise<void> {}

  async reduceScatter(...[send, receive]: Parameters<Comm['reduceScatter']>): Promise<void> {
    checkParts('reduceScatter', receive, send, 1);
    receive.set(send);
  }

  async allGather(...[send, receive]: Parameters<Comm['allGather']>): Promise<void> {
    checkParts('allGather', send, receive, 1);
    receive.set(send);
  }

  async allToAllV(...exchange: Parameters<Comm['allToAllV']>): Promise<void> {
    this.allToAllVNow(...exchange);
  }

  allToAllVNow(...[send, sendCounts, receive, receiveCounts]: Parameters<Comm['allToAllVNow']>): void {
    checkExchange('allToAllV', { send, sendCounts, receive, receiveCounts }, 1);
    if (send.length !== receive.length) {
      throw new XMoEError('value', `rank 0 sends ${send.length} numbers to rank 0, which expects ${receive.length}`, { op: 'allToAllV', hint: 'exchange the counts first' });
    }
    receive.set(send);
  }

  async broadcast(...[, root]: Parameters<Comm['broadcast']>): Promise<void> {
    checkRoot('broadcast', root, 1);
  }

  async barrier(): Promise<void> {}

  async split(): Promise<Comm> {
    return new SoloComm(this.#exit);
  }

  abort(exitCode: number): void {
    this.#exit(exitCode);
  }

  note(): void {}

  unhurried<Result>(work: () => Promise<Result>): Promise<Result> {
    return work();
  }

  async close(): Promise<void> {}
}

function refuseToExit(code: number): void {
  throw new XMoEError('interrupted', `the run was aborted with code ${code}`, { op: 'abort', hint: 'see what was reported before' });
}

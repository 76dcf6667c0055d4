// Which processes are there still, as Linux tells of them. What starts them is mpi-support.ts.
import { readFileSync } from 'node:fs';

/** Whether a process is there. One that has ended and waits for its parent is not: a launcher that was killed leaves none that waits. */
export function isRunning(pid: number | string): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

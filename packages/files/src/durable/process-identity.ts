// Who a process is, beyond its number: numbers are reused, so a process is its number plus its start time. Not a lock.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

export interface ProcessIdentity {
  pid: number;
  host: string;
  /** When it started, in the system's own unit: clock ticks since boot on Linux, empty where the system does not tell. */
  started: string;
}

/** This process. */
export function ownIdentity(): ProcessIdentity {
  return { pid: process.pid, host: hostname(), started: startOf(process.pid) };
}

/** Whether that process still runs. One on another host cannot be asked and counts as alive. */
export function isAlive({ pid, host, started }: ProcessIdentity): boolean {
  if (host !== hostname()) return true;
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false; // EPERM: it lives, and is another user's
  }
  const now = startOf(pid);
  return now === '' || started === '' || now === started;
}

/** This process as a part of a file name: PID.STARTED.HOST, the host hashed. */
export function ownTag(): string {
  return `${process.pid}.${startOf(process.pid)}.${hostTag()}`;
}

/** Whether the process of a tag still runs. A tag that cannot be read, or is of another host, counts as alive. */
export function isTagAlive(tag: string): boolean {
  const match = /^(\d+)\.(\d*)\.([0-9a-f]+)$/.exec(tag);
  if (!match || match[3] !== hostTag()) return true;
  return isAlive({ pid: Number(match[1]), host: hostname(), started: match[2]! });
}

function hostTag(): string {
  return createHash('sha256').update(hostname()).digest('hex').slice(0, 8);
}

/** Field 22 of /proc/PID/stat; the command name before it may hold spaces and brackets, so count from its end. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const afterName = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return afterName[0] === 'Z' ? 'ended' : (afterName[19] ?? ''); // a zombie has ended, though its number is still taken
  } catch {
    return '';
  }
}

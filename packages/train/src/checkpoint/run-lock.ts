// One process at a time in a run directory: a `lock` file with the process's number and start time. The lock of a dead
// process is taken over. Not a lock between threads or hosts: a lock of another host is never assumed stale.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { link, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { XMoEError } from '@xmoe/core';
import { writeFile } from './file-io.js';
import { isAlive, ownIdentity, ownTag, type ProcessIdentity } from './process-identity.js';

export interface RunLock {
  readonly path: string;
  /** Removes the lock if it is still this process's. Also done when the process exits normally. */
  release(): void;
}

interface LockContent extends ProcessIdentity {
  /** When it was taken, ISO 8601, for people. */
  since: string;
}

let lockCount = 0;
const TAKEOVER_WAIT_MS = 20;

/**
 * Takes the lock of `directory` (created if absent).
 * @throws XMoEError `checkpoint` naming the process that holds it
 */
export async function lockRunDirectory(directory: string): Promise<RunLock> {
  await mkdir(directory, { recursive: true });
  const path = join(directory, 'lock');
  const content = JSON.stringify({ ...ownIdentity(), since: new Date().toISOString() } satisfies LockContent);
  const draft = `${path}.${ownTag()}-${lockCount++}`;
  await writeFile(draft, [new TextEncoder().encode(content)]);
  try {
    // A link appears with its full content or fails: no one ever reads half a lock.
    while (!(await tryLink(draft, path)) && !(await takeOver(draft, path, directory))) await sleep(TAKEOVER_WAIT_MS);
  } finally {
    await rm(draft, { force: true });
  }
  const release = () => {
    process.off('exit', release);
    if (readOrEmpty(path) === content) rmSync(path, { force: true });
  };
  process.on('exit', release);
  return { path, release };
}

/**
 * Replaces a dead process's lock by `draft`. Judging and replacing happen under a second lock, since of two takers the
 * slower would otherwise remove the fresh lock of the faster. False: try again.
 */
async function takeOver(draft: string, path: string, directory: string): Promise<boolean> {
  refuseLiving(path, directory);
  const guard = `${path}.takeover`;
  if (!(await tryLink(draft, guard))) {
    const taker = parseLock(readOrEmpty(guard));
    if (!taker || isAlive(taker)) return false;
    throw new XMoEError('checkpoint', `${guard} was left by process ${taker.pid}, which died while it took the lock over`, {
      hint: `delete ${guard}`,
    });
  }
  try {
    if (!existsSync(path)) return false;
    refuseLiving(path, directory);
    await copyOver(draft, path);
    return true;
  } finally {
    await rm(guard, { force: true });
  }
}

/** Puts a second link to `draft` in the place of `path`, in one step. */
async function copyOver(draft: string, path: string): Promise<void> {
  const second = `${draft}-second`;
  await link(draft, second);
  await rename(second, path);
}

/** @throws XMoEError `checkpoint` when the lock's process lives or the lock cannot be read */
function refuseLiving(path: string, directory: string): void {
  if (!existsSync(path)) return; // released meanwhile
  const holder = parseLock(readOrEmpty(path));
  if (holder ? isAlive(holder) : existsSync(path)) throw inUse(directory, path, holder);
}

async function tryLink(from: string, to: string): Promise<boolean> {
  return link(from, to).then(
    () => true,
    (cause: NodeJS.ErrnoException) => {
      if (cause.code === 'EEXIST') return false;
      throw new XMoEError('checkpoint', `cannot create the lock ${to}: ${cause.message}`, { cause });
    },
  );
}

function parseLock(text: string): LockContent | undefined {
  try {
    const value = JSON.parse(text) as Partial<LockContent>;
    return typeof value.pid === 'number' && typeof value.host === 'string' && typeof value.started === 'string'
      ? (value as LockContent)
      : undefined;
  } catch {
    return undefined;
  }
}

function inUse(directory: string, path: string, holder: LockContent | undefined): XMoEError {
  const who = holder ? `process ${holder.pid} on ${holder.host} since ${holder.since}` : 'a lock that cannot be read';
  return new XMoEError('checkpoint', `${directory} is in use by ${who}`, {
    hint: `use another directory, wait for it to end, or delete ${path} if you are sure that it has ended`,
  });
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

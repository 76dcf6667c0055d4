// One process at a time in a run directory: a `lock` file with the process's number and start time. The lock of a dead
// process is taken over. Not a lock between threads or hosts: a lock of another host is never assumed stale.
import { readFileSync, rmSync } from 'node:fs';
import { link, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { XMoEError } from '@xmoe/core';
import {
  removeStaleTemporaries, temporaryName, makeDirectory, writeFile, isAlive, isTagAlive, ownIdentity, type ProcessIdentity,
} from '@xmoe/files/node';

export interface RunLock {
  readonly path: string;
  /** @throws XMoEError `io` when the lock is no longer this process's: the directory was removed, moved or taken */
  checkHeld(): void;
  /** Removes the lock if it is still this process's. Also done when the process exits normally. */
  release(): void;
}

interface LockContent extends ProcessIdentity {
  /** When it was taken, ISO 8601, for people. */
  since: string;
}

const RETRY_MS = 20;
/** A takeover takes milliseconds: who waits longer waits for a process of another host that died in it. */
const LONGEST_TAKEOVER_MS = 10_000;
/** Under which name earlier versions prepared a lock. */
const OLD_DRAFT = /^lock\.([^-]+)-\d+(-second)?$/;

/**
 * Takes the lock of `directory` (created if absent), and removes what dead processes left there under temporary names.
 * @throws XMoEError `busy` naming the process that holds it
 */
export async function lockRunDirectory(directory: string): Promise<RunLock> {
  await makeDirectory(directory);
  const path = join(directory, 'lock');
  const content = JSON.stringify({ ...ownIdentity(), since: new Date().toISOString() } satisfies LockContent);
  const draft = temporaryName(path);
  try {
    await writeFile(draft, [new TextEncoder().encode(content)]);
    await take(draft, path, (holder) => {
      throw inUse(directory, path, holder);
    });
  } finally {
    await rm(draft, { force: true });
  }
  await removeLeftovers(directory);
  const release = () => {
    process.off('exit', release);
    if (readHolder(path) === content) rmSync(path, { force: true });
  };
  process.on('exit', release);
  const checkHeld = () => {
    if (readHolder(path) === content) return;
    throw new XMoEError('io', `${directory} is no longer this run's: its lock is gone or another's`, {
      hint: 'the directory was removed, moved or taken; go on with --resume where the checkpoints are',
    });
  };
  return { path, checkHeld, release };
}

/**
 * Makes `path` a link to `draft` once no living process has one there. Judging a dead one's and replacing it happen under
 * a second lock, since of two takers the slower would otherwise remove the fresh lock of the faster; who dies while having
 * that one leaves a lock like any other, which is taken over in the same way.
 * @param refuse raises an error when a living process (undefined: one that cannot be told) shall not be waited for
 */
async function take(draft: string, path: string, refuse: (holder: LockContent | undefined) => void): Promise<void> {
  // A link appears with its full content or fails: no one ever reads half a lock.
  while (!(await tryLink(draft, path))) {
    const state = stateOf(path);
    if (state === 'living') refuse(parseLock(readHolder(path)));
    if (state === 'dead' && (await replaceDead(draft, path))) return;
    await sleep(RETRY_MS);
  }
}

/** False: the lock was released or taken by a living process meanwhile. */
async function replaceDead(draft: string, path: string): Promise<boolean> {
  const guard = `${path}.takeover`;
  const since = performance.now();
  await take(draft, guard, (taker) => {
    if (performance.now() - since > LONGEST_TAKEOVER_MS) throw inUse(path, guard, taker);
  });
  try {
    if (stateOf(path) !== 'dead') return false;
    // A second link to the draft in the place of the lock, in one step.
    const second = temporaryName(path);
    await link(draft, second);
    await rename(second, path);
    return true;
  } finally {
    await rm(guard, { force: true });
  }
}

/** What dead processes were writing, and locks that they prepared. */
async function removeLeftovers(directory: string): Promise<void> {
  await removeStaleTemporaries(directory);
  for (const name of await readdir(directory)) {
    const tag = OLD_DRAFT.exec(name)?.[1];
    if (tag !== undefined && !isTagAlive(tag)) await rm(join(directory, name), { force: true });
  }
}

/** One that cannot be read counts as living. */
function stateOf(path: string): 'absent' | 'dead' | 'living' {
  const text = readHolder(path);
  if (text === undefined) return 'absent';
  const holder = parseLock(text);
  return holder && !isAlive(holder) ? 'dead' : 'living';
}

async function tryLink(from: string, to: string): Promise<boolean> {
  return link(from, to).then(
    () => true,
    (cause: NodeJS.ErrnoException) => {
      if (cause.code === 'EEXIST') return false;
      throw new XMoEError('io', `cannot create the lock ${to}: ${cause.message}`, { cause });
    },
  );
}

function parseLock(text: string | undefined): LockContent | undefined {
  try {
    const value = JSON.parse(text ?? '') as Partial<LockContent>;
    return typeof value.pid === 'number' && typeof value.host === 'string' && typeof value.started === 'string'
      ? (value as LockContent)
      : undefined;
  } catch {
    return undefined;
  }
}

function inUse(directory: string, path: string, holder: LockContent | undefined): XMoEError {
  const who = holder ? `process ${holder.pid} on ${holder.host} since ${holder.since}` : 'a lock that cannot be read';
  return new XMoEError('busy', `${directory} is in use by ${who}`, {
    hint: `use another directory, wait for it to end, or delete ${path} if you are sure that it has ended`,
  });
}

/** The text of a lock, undefined when there is none. */
function readHolder(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? undefined : '';
  }
}

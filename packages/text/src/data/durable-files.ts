// Writing that can be trusted: whole buffers, synced to disk, and directories that appear complete or not at all.
import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, rmdir, type FileHandle } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { makeDirectory } from '@xmoe/files/node';

/** Writes all of `bytes`. A short write is no error in Node (a disk that fills up gives one), so it goes on or throws. */
export async function writeFully(handle: FileHandle, bytes: Uint8Array, path: string): Promise<void> {
  for (let offset = 0; offset < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, offset, bytes.length - offset).catch((cause: unknown) => {
      throw writeError(path, cause instanceof Error ? cause.message : String(cause), cause);
    });
    if (bytesWritten === 0) throw writeError(path, 'the disk takes no more bytes');
    offset += bytesWritten;
  }
}

/** Writes a whole new file and syncs it. */
export async function writeDurably(path: string, content: string | Uint8Array): Promise<void> {
  const handle = await open(path, 'w');
  try {
    await writeFully(handle, typeof content === 'string' ? Buffer.from(content) : content, path);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Fills a new directory through `fill` in a temporary sibling and renames it to `path` once everything is on disk. With
 * `replace` an existing directory gives way then, and not before. A failure leaves `path` as it was,
 * and no parent that was made for it.
 */
export async function createDirectoryAtomically(
  path: string,
  fill: (temporary: string) => Promise<void>,
  { replace = false } = {},
): Promise<void> {
  const target = resolve(path);
  const parent = dirname(target);
  const prefix = `.${basename(target)}.partial-${hostname()}-`;
  const firstMade = await makeDirectory(parent);
  await removeAbandoned(parent, prefix);
  const temporary = join(parent, `${prefix}${process.pid}-${randomUUID().slice(0, 8)}`);
  const old = `${temporary}-old`;
  await mkdir(temporary);
  try {
    await fill(temporary);
    await syncDirectory(temporary);
    if (replace) await rename(target, old).catch(ignoreMissing);
    await rename(temporary, target).catch(async (error: unknown) => {
      if (replace) await rename(old, target).catch(ignoreMissing);
      throw error;
    });
    await syncDirectory(parent);
    await rm(old, { recursive: true, force: true });
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    if (firstMade !== undefined) await removeEmpty(parent, firstMade);
    throw error;
  }
}

/** Removes `directory` and its parents up to `last`, as far as they are empty. */
async function removeEmpty(directory: string, last: string): Promise<void> {
  try {
    await rmdir(directory);
  } catch {
    return; // someone else uses it
  }
  if (resolve(directory) !== resolve(last)) await removeEmpty(dirname(directory), last);
}

/** Removes what dead runs on this machine left behind. */
async function removeAbandoned(parent: string, prefix: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const pid = name.startsWith(prefix) ? Number(name.slice(prefix.length).split('-')[0]) : Number.NaN;
    if (Number.isInteger(pid) && !isAlive(pid)) {
      await rm(join(parent, name), { recursive: true, force: true });
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
}

function writeError(path: string, reason: string, cause?: unknown): XMoEError {
  return new XMoEError('data', `${path}: cannot be written whole: ${reason}`, {
    op: 'prepareShards',
    hint: 'free some space on the disk, or choose another directory, and run again',
    cause,
  });
}

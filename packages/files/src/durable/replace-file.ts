// Writes a file as a unit and makes temporary names: whoever looks sees all of it or nothing, after a crash as well. The
// order is temporary name, contents, fsync, rename, fsync of the parent. Not directories of a format of their own.
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { makeDirectory, syncParent, writeFile } from './file-io.js';
import { isTagAlive, ownTag } from './process-identity.js';

export type FileContent = string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** Temporary names carry who made them, so that those of dead runs can be told from those of live ones. */
const TEMPORARY_PREFIX = '.temporary-';
let temporaryCount = 0;

/** Replaces the file `target` by the new content, as a unit. The temporary file lies beside `beside`, by default the target. */
export async function replaceFile(target: string, content: FileContent, { beside = target }: { beside?: string } = {}): Promise<void> {
  const temporary = temporaryName(beside);
  try {
    await writeFile(temporary, chunksOf(content));
    await rename(temporary, target);
    await syncParent(target);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Removes a directory so that a crash in the middle never leaves a part of it under its name. */
export async function removeDirectory(target: string): Promise<void> {
  const temporary = temporaryName(target);
  await rename(target, temporary);
  await rm(temporary, { recursive: true, force: true });
}

/** Removes what dead processes left in `parent` under temporary names. Returns the names removed. */
export async function removeStaleTemporaries(parent: string): Promise<string[]> {
  const names = (await readdir(parent).catch(() => [])).filter((name) => name.startsWith(TEMPORARY_PREFIX));
  const removed: string[] = [];
  for (const name of names) {
    if (isTagAlive(name.slice(TEMPORARY_PREFIX.length).split('-', 1)[0]!)) continue;
    await rm(join(parent, name), { recursive: true, force: true });
    removed.push(name);
  }
  return removed;
}

/** Creates an empty directory under a temporary name beside `target`. */
export async function makeTemporary(target: string): Promise<string> {
  const temporary = temporaryName(target);
  await makeDirectory(dirname(target));
  await mkdir(temporary).catch((cause: unknown) => {
    throw new XMoEError('io', `cannot create ${temporary}: ${(cause as Error).message}`, { cause });
  });
  return temporary;
}

/** A free name beside `target`, which {@link removeStaleTemporaries} finds when this process dies. */
export function temporaryName(target: string): string {
  return join(dirname(target), `${TEMPORARY_PREFIX}${ownTag()}-${temporaryCount++}-${basename(target)}`);
}

/** `content` in pieces, as {@link writeFile} takes it. */
export function chunksOf(content: FileContent): Iterable<Uint8Array> | AsyncIterable<Uint8Array> {
  if (typeof content === 'string') return [new TextEncoder().encode(content)];
  return content instanceof Uint8Array ? [content] : content;
}

// Writes a directory or a file as a unit: whoever looks sees all of it or nothing, after a crash as well. The order is
// temporary name, contents, fsync, manifest, fsync, rename, fsync of the parent. Not retention, not naming.
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import type { JsonObject } from '../config/index.js';
import { makeDirectory, syncDirectory, syncParent, writeFile, type FileRecord } from './file-io.js';
import { encodeManifest, isFileName, MANIFEST_NAME, type Manifest } from './manifest.js';
import { isTagAlive, ownTag } from './process-identity.js';

export type FileContent = string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** Temporary names carry who made them, so that those of dead runs can be told from those of live ones. */
const TEMPORARY_PREFIX = '.temporary-';
let temporaryCount = 0;

/**
 * Writes the directory `target`, which must not exist, with the given files and a manifest.json of their sizes and
 * sha256. On an error nothing is left of it.
 * @throws XMoEError `io`, or `checkpoint` for a name that no file may have
 */
export async function writeDirectory(
  target: string,
  files: Readonly<Record<string, FileContent>>,
  info: JsonObject = {},
): Promise<Manifest> {
  const temporary = await makeTemporary(target);
  try {
    const records: Record<string, FileRecord> = {};
    for (const [name, content] of Object.entries(files)) {
      checkFileName(name);
      records[name] = await writeFile(join(temporary, name), chunksOf(content));
    }
    const manifest: Manifest = { version: 1, files: records, info };
    await writeFile(join(temporary, MANIFEST_NAME), chunksOf(encodeManifest(manifest)));
    await syncDirectory(temporary);
    await rename(temporary, target);
    await syncParent(target);
    return manifest;
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
}

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
async function makeTemporary(target: string): Promise<string> {
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

function checkFileName(name: string): void {
  if (isFileName(name)) return;
  throw new XMoEError('checkpoint', `"${name}" cannot be a file of a checkpoint`, {
    hint: `use letters, digits, ".", "_" and "-"; ${MANIFEST_NAME} is taken`,
  });
}

function chunksOf(content: FileContent): Iterable<Uint8Array> | AsyncIterable<Uint8Array> {
  if (typeof content === 'string') return [new TextEncoder().encode(content)];
  return content instanceof Uint8Array ? [content] : content;
}

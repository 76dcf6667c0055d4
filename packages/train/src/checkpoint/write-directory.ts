// Writes a directory as a unit: whoever looks sees all of it or nothing, after a crash as well. The order is temporary
// name, contents, fsync, manifest, fsync, rename, fsync of the parent. Not retention, not naming.
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import type { JsonObject } from '@xmoe/files';
import { chunksOf, makeTemporary, syncDirectory, syncParent, writeFile, type FileContent, type FileRecord } from '@xmoe/files/node';
import { encodeManifest, isFileName, MANIFEST_NAME, type Manifest } from './manifest.js';

/**
 * Writes the directory `target`, which must not exist, with the given files and a manifest.json of their sizes and
 * sha256. On an error nothing is left of it.
 * @param ready awaited when all is written, before the directory has its name
 * @throws XMoEError `io`, or `checkpoint` for a name that no file may have
 */
export async function writeDirectory(
  target: string,
  files: Readonly<Record<string, FileContent>>,
  info: JsonObject = {},
  ready: () => Promise<void> = async () => undefined,
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
    await ready();
    await rename(temporary, target);
    await syncParent(target);
    return manifest;
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
}

function checkFileName(name: string): void {
  if (isFileName(name)) return;
  throw new XMoEError('checkpoint', `"${name}" cannot be a file of a checkpoint`, {
    hint: `use letters, digits, ".", "_" and "-"; ${MANIFEST_NAME} is taken`,
  });
}

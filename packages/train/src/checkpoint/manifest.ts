// The manifest of a directory that was written as a unit: each file's size and sha256, free information, and a hash over
// the manifest itself. Building, reading and verifying; writing the directory is write-directory.ts.
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { z } from 'zod';
import { parseConfig } from '../config/parse-config.js';
import { parseJson, type JsonObject, type JsonValue } from '@xmoe/files';
import { hashFile, type FileRecord } from '@xmoe/files/node';

export const MANIFEST_NAME = 'manifest.json';
const VERSION = 1;

export interface Manifest {
  version: 1;
  files: Record<string, FileRecord>;
  /** What the writer wants to know without opening the files. */
  info: JsonObject;
}

/** Whether `name` may be a file of a directory with a manifest: it stays inside, and is not the manifest. */
export function isFileName(name: string): boolean {
  return /^[\w-][\w.-]*$/.test(name) && name !== MANIFEST_NAME;
}

const manifestSchema = z.object({
  version: z.literal(VERSION),
  files: z.record(z.string(), z.object({ size: z.int().nonnegative(), sha256: z.string().regex(/^[0-9a-f]{64}$/) })),
  info: z.record(z.string(), z.custom<JsonValue>()),
  sha256: z.string(),
});

/** The text of manifest.json. */
export function encodeManifest(manifest: Manifest): string {
  return `${JSON.stringify({ ...manifest, sha256: selfHash(manifest) }, null, 2)}\n`;
}

/** Reads and checks the manifest of `directory`. @throws XMoEError `checkpoint` when it is missing or damaged */
export async function readManifest(directory: string): Promise<Manifest> {
  const where = join(directory, MANIFEST_NAME);
  const text = await readFile(where, 'utf8').catch((cause: unknown) => {
    throw new XMoEError('checkpoint', `${directory} is not complete: ${MANIFEST_NAME} cannot be read`, { cause });
  });
  const value = parseJson(text, { where, code: 'checkpoint' });
  const { sha256, ...manifest } = asCheckpointError(() => parseConfig(manifestSchema, value, { where }));
  if (sha256 !== selfHash(manifest)) throw new XMoEError('checkpoint', `${where} is damaged: its own hash does not match`);
  const outside = Object.keys(manifest.files).find((name) => !isFileName(name));
  if (outside !== undefined) throw new XMoEError('checkpoint', `${where} names ${JSON.stringify(outside)}, which cannot be a file of a checkpoint`);
  return manifest;
}

/**
 * Checks that the files of `directory` are those of its manifest.
 * @param depth `sizes` is quick and finds truncation; `content` also compares the sha256 of every file
 * @throws XMoEError `checkpoint` naming the first file that is wrong
 */
export async function verifyManifest(directory: string, depth: 'sizes' | 'content'): Promise<Manifest> {
  const manifest = await readManifest(directory);
  for (const [name, record] of Object.entries(manifest.files)) {
    const path = join(directory, name);
    const size = await stat(path).then(({ size }) => size, () => undefined);
    if (size === undefined) throw new XMoEError('checkpoint', `${path} is missing`);
    if (size !== record.size) throw new XMoEError('checkpoint', `${path} has ${size} bytes, not ${record.size}`);
    if (depth === 'content' && (await hashFile(path)).sha256 !== record.sha256) {
      throw new XMoEError('checkpoint', `${path} is damaged: its sha256 does not match the manifest`);
    }
  }
  return manifest;
}

function selfHash({ version, files, info }: Manifest): string {
  return createHash('sha256').update(JSON.stringify({ version, files, info })).digest('hex');
}

/** What is a mistake of the user in a configuration is damage in a file that only this program writes. */
function asCheckpointError<R>(read: () => R): R {
  try {
    return read();
  } catch (cause) {
    throw new XMoEError('checkpoint', (cause as Error).message, { cause });
  }
}

// Safetensors files, streamed: neither reading nor writing holds the file in memory as a whole, and both go beyond the
// 2 GiB that one call transfers. Not atomic by itself: see write-directory.ts.
import { open, type FileHandle } from 'node:fs/promises';
import { XMoEError } from '@xmoe/core';
import { readFully, writeFile } from '@xmoe/files/node';
import { headerLength, readHeader, type SafetensorsHeader, type TensorEntry } from './safetensors-header.js';
import { safetensorsChunks, tensorFromBytes, type SafetensorsContent, type SafetensorsOptions } from './safetensors.js';
import { assertLittleEndian, type Entries, type FiledTensor, type StoredTensor } from './tensor-format.js';

/** Writes and fsyncs one file. @throws XMoEError `checkpoint` (a full disk is named ENOSPC) */
export async function writeSafetensors(
  path: string,
  tensors: readonly StoredTensor[],
  options: SafetensorsOptions = {},
): Promise<void> {
  await writeFile(path, safetensorsChunks(tensors, options));
}

/** What one file holds by its header, which is validated as a whole; no tensor is read. */
export function readSafetensorsHeader(path: string): Promise<SafetensorsHeader> {
  return withFile(path, (file) => headerOf(file, path));
}

/** Reads one file. `only` picks tensors by name; the header is validated as a whole either way. */
export async function readSafetensors(
  path: string,
  { only }: { only?: (name: string) => boolean } = {},
): Promise<SafetensorsContent> {
  assertLittleEndian();
  return withFile(path, async (file) => {
    const { metadata, entries, dataStart } = await headerOf(file, path);
    const tensors: StoredTensor[] = [];
    for (const entry of entries) {
      if (only && !only(entry.name)) continue;
      const bytes = await readRange(file, dataStart + entry.begin, entry.end - entry.begin, path);
      tensors.push(tensorFromBytes(entry, bytes.buffer, path));
    }
    return { tensors, metadata };
  });
}

/** The tensors of one file, whose header is validated now; each is read when it is asked for. */
export async function openSafetensors(path: string): Promise<FiledTensor[]> {
  assertLittleEndian();
  const { entries, dataStart } = await readSafetensorsHeader(path);
  return entries.map((entry) => ({
    name: entry.name, dtype: entry.dtype, shape: entry.shape,
    read: (wanted) => withFile(path, async (file) => {
      const part = wanted ? entriesOf(entry, wanted) : entry;
      const bytes = await readRange(file, dataStart + part.begin, part.end - part.begin, path);
      return tensorFromBytes(part, bytes.buffer, path).data;
    }),
  }));
}

/** Where entries of the first axis lie. */
function entriesOf(entry: TensorEntry, { begin, count }: Entries): TensorEntry {
  const [entries = 0, ...rest] = entry.shape;
  if (begin < 0 || count < 0 || begin + count > entries) throw new XMoEError('checkpoint', `${entry.name} has no entries ${begin} to ${begin + count} of ${entries}`);
  const length = entries === 0 ? 0 : (entry.end - entry.begin) / entries;
  return { ...entry, shape: [count, ...rest], begin: entry.begin + begin * length, end: entry.begin + (begin + count) * length };
}

async function withFile<R>(path: string, read: (file: FileHandle) => Promise<R>): Promise<R> {
  const file = await open(path, 'r').catch((cause: unknown) => {
    throw new XMoEError('checkpoint', `cannot open ${path}`, { cause });
  });
  try {
    return await read(file);
  } finally {
    await file.close();
  }
}

async function headerOf(file: FileHandle, path: string): Promise<SafetensorsHeader> {
  const { size } = await file.stat();
  const length = headerLength(await readRange(file, 0, Math.min(8, size), path), size, path);
  return readHeader(await readRange(file, 8, length, path), size, path);
}

async function readRange(
  file: FileHandle,
  position: number,
  length: number,
  path: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  await readFully(file, bytes, position, path);
  return bytes;
}

// Byte transfers that are complete or fail: loops over short counts, respects the limit of one call, fsyncs. On a full
// disk Node returns a short count and no error, and only the next write throws. Not formats, not atomicity.
import { createHash } from 'node:crypto';
import { mkdir, open, stat, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { XMoEError } from '@xmoe/core';

/** One write or read call transfers at most 2^31 − 1 bytes; smaller pieces also let hashing and writing alternate. */
const PIECE_BYTES = 2 ** 26;

/** What this file needs of a FileHandle. */
export type ByteSink = Pick<FileHandle, 'write'>;
export type ByteSource = Pick<FileHandle, 'read'>;

export interface FileRecord {
  size: number;
  /** Hexadecimal. */
  sha256: string;
}

/** Writes all of `bytes` at `position`. @throws XMoEError `io`, naming ENOSPC when the disk is full */
export async function writeFully(sink: ByteSink, bytes: Uint8Array, position: number, path: string): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const length = Math.min(PIECE_BYTES, bytes.length - done);
    const { bytesWritten } = await sink.write(bytes, done, length, position + done).catch((cause: unknown) => {
      throw writeFailed(path, (cause as NodeJS.ErrnoException).code ?? 'unknown error', position + done, cause);
    });
    if (bytesWritten <= 0) throw writeFailed(path, 'ENOSPC', position + done);
    done += bytesWritten;
  }
}

/** Fills `target` from `position`. @throws XMoEError `checkpoint` when the file ends before */
export async function readFully(source: ByteSource, target: Uint8Array, position: number, path: string): Promise<void> {
  let done = 0;
  while (done < target.length) {
    const length = Math.min(PIECE_BYTES, target.length - done);
    const { bytesRead } = await source.read(target, done, length, position + done);
    if (bytesRead <= 0) throw new XMoEError('checkpoint', `${path} ended at byte ${position + done} while it was read`);
    done += bytesRead;
  }
}

/** Creates `path` (it must not exist), writes the chunks, checks the final size, fsyncs. Returns size and sha256. */
export async function writeFile(path: string, chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<FileRecord> {
  const hash = createHash('sha256');
  const file = await open(path, 'wx').catch((cause: unknown) => {
    throw new XMoEError('io', `cannot create ${path}: ${(cause as Error).message}`, { cause });
  });
  try {
    let size = 0;
    for await (const chunk of chunks) {
      for (let start = 0; start < chunk.length; start += PIECE_BYTES) {
        hash.update(chunk.subarray(start, start + PIECE_BYTES));
      }
      await writeFully(file, chunk, size, path);
      size += chunk.length;
    }
    const written = (await file.stat()).size;
    if (written !== size) throw writeFailed(path, 'ENOSPC', written);
    await syncOrFail(file, path);
    return { size, sha256: hash.digest('hex') };
  } finally {
    await file.close();
  }
}

/** Size and sha256 of a file, streamed. */
export async function hashFile(path: string): Promise<FileRecord> {
  const hash = createHash('sha256');
  const file = await open(path, 'r');
  try {
    const piece = new Uint8Array(2 ** 20);
    for (let size = 0; ; ) {
      const { bytesRead } = await file.read(piece, 0, piece.length, size);
      if (bytesRead === 0) return { size, sha256: hash.digest('hex') };
      hash.update(piece.subarray(0, bytesRead));
      size += bytesRead;
    }
  } finally {
    await file.close();
  }
}

/**
 * Makes `path` and what lies above it, where they are not there. Returns the topmost that it made. Node's own recursive form never
 * ends where a system says of a new entry that its parent does not exist, though it does (Linux: /proc).
 */
export async function makeDirectory(path: string): Promise<string | undefined> {
  try {
    return (await makeOne(path)) ? path : undefined;
  } catch (error) {
    const parent = dirname(path);
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || parent === path) throw error;
    // Another process may have made the parent meanwhile; where it was there all the time, the second try fails as the first did.
    const first = (await isDirectory(parent)) ? undefined : await makeDirectory(parent);
    const made = await makeOne(path);
    return first ?? (made ? path : undefined);
  }
}

/** Whether it was not there before. */
async function makeOne(path: string): Promise<boolean> {
  try {
    await mkdir(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST' && (await isDirectory(path))) return false;
    throw error;
  }
}

const isDirectory = (path: string): Promise<boolean> => stat(path).then((entry) => entry.isDirectory(), () => false);

/** Makes the entries of a directory durable. Windows cannot open a directory; its renames are journalled. */
export async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const directory = await open(path, 'r');
  try {
    await syncOrFail(directory, path);
  } finally {
    await directory.close();
  }
}

/** Makes the name of `path` durable. */
export async function syncParent(path: string): Promise<void> {
  await syncDirectory(dirname(path));
}

async function syncOrFail(file: FileHandle, path: string): Promise<void> {
  await file.sync().catch((cause: unknown) => {
    throw new XMoEError('io', `cannot make ${path} durable: ${(cause as Error).message}`, { cause });
  });
}

function writeFailed(path: string, reason: string, position: number, cause?: unknown): XMoEError {
  const meaning = reason === 'ENOSPC' ? 'ENOSPC, no space left on the disk' : reason;
  return new XMoEError('io', `cannot write ${path}: ${meaning} (at byte ${position})`, {
    hint: 'free some space or choose another directory; what was saved before is untouched',
    cause,
  });
}

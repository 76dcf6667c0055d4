// What files hold, by sha256, read once: a record remembers the hash of a file for as long as nothing about the file has
// changed that its owner cannot set back (the time of the last change of its inode, the inode itself). Not what files mean.
import { createHash } from 'node:crypto';
import { open, readFile, realpath, stat } from 'node:fs/promises';
import { endianness } from 'node:os';
import { dirname } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { z } from 'zod';
import { replaceFile, makeDirectory } from '@xmoe/files/node';

/** What one pass over a file finds. */
export interface FileContent {
  readonly sha256: string;
  /** Of the numbers in it, where it holds numbers; −1 for none. */
  readonly largest?: number;
}

export interface ContentRecord {
  /**
   * What the file holds: read, or remembered. `width`: the file holds unsigned little-endian integers of so many bytes,
   * whose largest is wanted.
   */
  contentOf(path: string, width?: 2 | 4): Promise<FileContent>;
  /** Writes down what was read. A record that cannot be written is no error: the files are read again next time. */
  save(): Promise<void>;
}

export interface ContentRecordOptions {
  /** Smaller files are read each time: quicker than to keep a record of them. Default 0. */
  fromBytes?: number;
  /** A file that changed less long ago may change again within one tick of the file system's clock: it is not remembered. Default 2000. */
  settledMs?: number;
}

const PIECE_BYTES = 1 << 20;

const entrySchema = z.object({
  size: z.number(),
  modified: z.string(),
  changed: z.string(),
  inode: z.string(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  largest: z.number().optional(),
});
const recordSchema = z.object({
  format: z.literal('xmoe-content-record'),
  version: z.literal(1),
  files: z.record(z.string(), entrySchema),
});
type Entry = z.infer<typeof entrySchema>;

/** The record in the file `path` (`undefined`: none is kept). What cannot be read there counts as empty. */
export async function openContentRecord(path: string | undefined, { fromBytes = 0, settledMs = 2000 }: ContentRecordOptions = {}): Promise<ContentRecord> {
  const known = path === undefined ? new Map<string, Entry>() : await readRecord(path);
  let changed = false;
  return {
    async contentOf(file, width) {
      const key = await realpath(file).catch((cause: unknown) => unreadable(file, cause));
      const stamp = await stampOf(key);
      const entry = known.get(key);
      if (entry !== undefined && isSame(entry, stamp) && (width === undefined || entry.largest !== undefined)) return entry;
      const content = await readContent(key, width).catch((cause: unknown) => unreadable(file, cause));
      const after = await stampOf(key);
      if (after.size >= fromBytes && isSame(stamp, after) && Date.now() - after.changedMs >= settledMs) {
        const { changedMs: _, ...settled } = after;
        known.set(key, { ...settled, ...content });
        changed = true;
      }
      return content;
    },
    async save() {
      if (path === undefined || !changed) return;
      const record: z.infer<typeof recordSchema> = { format: 'xmoe-content-record', version: 1, files: Object.fromEntries(known) };
      try {
        await makeDirectory(dirname(path));
        await replaceFile(path, `${JSON.stringify(record, null, 1)}\n`);
        changed = false;
      } catch {
        // as it was
      }
    },
  };
}

function unreadable(path: string, cause: unknown): never {
  throw new XMoEError('data', `${path} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, { hint: 'check the file and its permissions', cause });
}

async function readRecord(path: string): Promise<Map<string, Entry>> {
  try {
    return new Map(Object.entries(recordSchema.parse(JSON.parse(await readFile(path, 'utf8'))).files));
  } catch {
    return new Map();
  }
}

type Stamp = Pick<Entry, 'size' | 'modified' | 'changed' | 'inode'> & { changedMs: number };

async function stampOf(path: string): Promise<Stamp> {
  const { size, mtimeNs, ctimeNs, ino, dev } = await stat(path, { bigint: true });
  return { size: Number(size), modified: String(mtimeNs), changed: String(ctimeNs), inode: `${dev}:${ino}`, changedMs: Number(ctimeNs / 1_000_000n) };
}

function isSame(a: Omit<Stamp, 'changedMs'>, b: Omit<Stamp, 'changedMs'>): boolean {
  return a.size === b.size && a.modified === b.modified && a.changed === b.changed && a.inode === b.inode;
}

/** One pass over a file. `width` as in {@link ContentRecord.contentOf}; bytes after the last whole number are hashed only. */
async function readContent(path: string, width?: 2 | 4): Promise<FileContent> {
  const hash = createHash('sha256');
  const piece = Buffer.from(new ArrayBuffer(PIECE_BYTES));
  let largest = -1;
  const file = await open(path, 'r');
  try {
    for (let filled = 1; filled > 0; ) {
      filled = 0;
      while (filled < PIECE_BYTES) {
        const { bytesRead } = await file.read(piece, filled, PIECE_BYTES - filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      hash.update(piece.subarray(0, filled));
      if (width !== undefined) largest = Math.max(largest, largestOf(piece, Math.floor(filled / width), width));
    }
  } finally {
    await file.close();
  }
  const sha256 = hash.digest('hex');
  return width === undefined ? { sha256 } : { sha256, largest };
}

/** The largest of the first `count` numbers; they are in the machine's own order afterwards. */
function largestOf(piece: Buffer, count: number, width: 2 | 4): number {
  if (endianness() === 'BE') void (width === 2 ? piece.swap16() : piece.swap32());
  const numbers = width === 2 ? new Uint16Array(piece.buffer, 0, count) : new Uint32Array(piece.buffer, 0, count);
  let largest = -1;
  for (let i = 0; i < count; i++) if (numbers[i] > largest) largest = numbers[i];
  return largest;
}

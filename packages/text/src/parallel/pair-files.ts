// The cleaned pairs on disk: a JSON object per line with source, target and kind. Written by the first stage and read by
// the later ones; ordinary JSON lines, so that anything else can read them too.
import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { StringDecoder } from 'node:string_decoder';
import { writeFully } from '../data/durable-files.js';
import type { TextPair } from './pairs.js';

const BUFFER_CHARACTERS = 1 << 20;
const CHUNK_BYTES = 1 << 20;

/** A pair; the many of training without their places. */
export type StoredPair = Omit<TextPair, 'place'> & Partial<Pick<TextPair, 'place'>>;

export interface PairWriter {
  write(pair: StoredPair): Promise<void>;
  /** Flushes, syncs and closes; sha256 of the file. */
  finish(): Promise<string>;
  /** Closes the file without finishing, after a failure. */
  abandon(): Promise<void>;
}

/** A new file at `path`. */
export async function createPairWriter(path: string): Promise<PairWriter> {
  const handle = await open(path, 'wx');
  const hash = createHash('sha256');
  let buffer = '';
  let closed = false;
  const flush = async () => {
    const bytes = Buffer.from(buffer);
    buffer = '';
    hash.update(bytes);
    await writeFully(handle, bytes, path);
  };
  return {
    async write({ source, target, kind, place }) {
      buffer += `${JSON.stringify({ source, target, kind, place })}\n`;
      if (buffer.length >= BUFFER_CHARACTERS) await flush();
    },
    async finish() {
      await flush();
      await handle.sync();
      await handle.close();
      closed = true;
      return hash.digest('hex');
    },
    async abandon() {
      if (!closed) await handle.close();
      closed = true;
    },
  };
}

/** The pairs of such a file in order. Synchronous, because a tokenizer learns from a plain iterable. */
export function* readPairFile(path: string): Generator<StoredPair> {
  const file = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(CHUNK_BYTES);
    const decoder = new StringDecoder('utf8');
    let partial = '';
    for (let count = readSync(file, bytes); count > 0; count = readSync(file, bytes)) {
      const lines = (partial + decoder.write(bytes.subarray(0, count))).split('\n');
      partial = lines.pop()!;
      for (const line of lines) yield JSON.parse(line) as StoredPair;
    }
  } finally {
    closeSync(file);
  }
}

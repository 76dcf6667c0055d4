// Writes one split's tokens into numbered binary files of bounded size, hashing as it goes. Not the index.
import { createHash, type Hash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { endianness } from 'node:os';
import { join } from 'node:path';
import { writeFully } from './durable-files.js';
import type { ShardEntry, SplitIndex } from './shard-index.js';

export interface ShardWriterOptions {
  readonly directory: string;
  /** Beginning of the file names. */
  readonly name: string;
  readonly dtype: 'uint16' | 'uint32';
  /** Most tokens in a file. */
  readonly shardTokens: number;
}

export interface ShardWriter {
  /** Appends a document's tokens; `bytes` is the size of its text in UTF-8. */
  write(tokens: Int32Array, bytes: number): Promise<void>;
  /** Flushes, syncs and closes; the split's part of the index. */
  finish(): Promise<SplitIndex>;
  /** Closes the open file without finishing, after a failure. */
  abandon(): Promise<void>;
}

const BUFFER_TOKENS = 1 << 18;

interface OpenShard {
  readonly handle: FileHandle;
  readonly path: string;
  readonly hash: Hash;
  readonly entry: ShardEntry;
}

/** A writer that makes its first file at the first token. */
export function createShardWriter({ directory, name, dtype, shardTokens }: ShardWriterOptions): ShardWriter {
  const buffer = dtype === 'uint16' ? new Uint16Array(BUFFER_TOKENS) : new Uint32Array(BUFFER_TOKENS);
  const index: SplitIndex = { tokens: 0, documents: 0, bytes: 0, shards: [] };
  let filled = 0;
  let shard: OpenShard | undefined;

  const flush = async () => {
    if (shard === undefined || filled === 0) return;
    const bytes = Buffer.from(buffer.buffer, 0, filled * buffer.BYTES_PER_ELEMENT);
    if (endianness() === 'BE') void (dtype === 'uint16' ? bytes.swap16() : bytes.swap32()); // files are little-endian
    shard.hash.update(bytes);
    await writeFully(shard.handle, bytes, shard.path);
    filled = 0;
  };
  const close = async () => {
    if (shard === undefined) return;
    await flush();
    await shard.handle.sync();
    await shard.handle.close();
    index.shards.push({ ...shard.entry, sha256: shard.hash.digest('hex') });
    shard = undefined;
  };
  const openNext = async (): Promise<OpenShard> => {
    const file = `${name}-${String(index.shards.length).padStart(5, '0')}.bin`;
    const path = join(directory, file);
    const entry = { file, tokens: 0, documents: 0, sha256: '' };
    return { handle: await open(path, 'wx'), path, hash: createHash('sha256'), entry };
  };

  return {
    async write(tokens, bytes) {
      for (let read = 0; read < tokens.length; ) {
        shard ??= await openNext();
        if (read === 0) shard.entry.documents++;
        const amount = Math.min(tokens.length - read, shardTokens - shard.entry.tokens, BUFFER_TOKENS - filled);
        buffer.set(tokens.subarray(read, read + amount), filled);
        filled += amount;
        read += amount;
        shard.entry.tokens += amount;
        if (filled === BUFFER_TOKENS) await flush();
        if (shard.entry.tokens === shardTokens) await close();
      }
      index.tokens += tokens.length;
      index.documents++;
      index.bytes += bytes;
    },
    async finish() {
      await close();
      return index;
    },
    async abandon() {
      await shard?.handle.close();
    },
  };
}

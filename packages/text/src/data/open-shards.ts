// Reads prepared shards with bounded memory. Node has no mmap: pages are read on demand at their position in the file and
// the most recently used ones are kept, so a small corpus ends up in memory and a large one does not.
import { closeSync, openSync, readSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { endianness } from 'node:os';
import { join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { openContentRecord } from './content-record.js';
import { bytesPerToken, readShardIndex, type ShardEntry, type ShardIndex } from './shard-index.js';
import { splitNames, type SplitName } from './splits.js';
import type { TokenSplit } from './token-split.js';

export interface TokenDataset {
  readonly directory: string;
  readonly index: ShardIndex;
  split(name: SplitName): TokenSplit;
  /** Closes the files; reading afterwards throws. */
  close(): void;
}

/**
 * How shards are compared with their index. `once` (default): sha256 and the range of the ids, of every file that has changed
 * since it was last found right, which `verified.json` beside the shards remembers; `sha256`: the same of every file; `size`: sizes.
 */
export type Verification = 'once' | 'sha256' | 'size';

export interface OpenShardsOptions {
  verify?: Verification;
  /** Most bytes of pages kept. Default 64 MiB. */
  cacheBytes?: number;
}

const PAGE_BYTES = 1 << 15;

/** Opens and verifies a directory that `prepareShards` made. Names the shard that is missing, cut short or altered. */
export async function openShards(directory: string, options: OpenShardsOptions = {}): Promise<TokenDataset> {
  const index = await readShardIndex(directory);
  await verifyShards(directory, index, options.verify);
  const pages = createPageCache(directory, options.cacheBytes);
  return {
    directory,
    index,
    split: (name) => createSplit(name, index, pages.read),
    close: pages.close,
  };
}

/** What of an index says where the tokens of each split lie. */
export type TokenLayout = Pick<ShardIndex, 'dtype' | 'splits'>;

/** One split of shards, read through `readPage` of {@link createPageCache}. */
export function createSplit(name: SplitName, index: TokenLayout, readPage: PageReader): TokenSplit {
  const { tokens: length, bytes, documents, shards } = index.splits[name];
  const width = bytesPerToken(index);
  const pageTokens = PAGE_BYTES / width;
  let start = 0;
  const ranges = shards.map((shard) => ({ shard, start, end: (start += shard.tokens) }));

  const read = (offset: number, count: number, out: Int32Array) => {
    if (!(Number.isInteger(offset) && offset >= 0 && count >= 0 && offset + count <= length && count <= out.length)) {
      throw new XMoEError('value', `cannot read ${count} tokens at ${offset} into ${out.length} places`, {
        op: `read ${name}`,
        hint: `the split has ${length} tokens`,
      });
    }
    let range = ranges.findIndex(({ end }) => offset < end);
    for (let done = 0; done < count; ) {
      const { shard, start: shardStart, end } = ranges[range];
      const local = offset + done - shardStart;
      const page = readPage(shard, Math.floor(local / pageTokens), width);
      const within = local % pageTokens;
      const amount = Math.min(count - done, pageTokens - within, end - shardStart - local);
      out.set(page.subarray(within, within + amount), done);
      done += amount;
      if (offset + done === end) range++;
    }
  };
  return { name, length, bytes, documents, read };
}

type Page = Uint16Array | Uint32Array;
type PageReader = (shard: ShardEntry, number: number, width: number) => Page;

/** The latest pages of all shards, and their open files. */
export function createPageCache(directory: string, cacheBytes = 1 << 26) {
  const capacity = Math.max(1, Math.floor(cacheBytes / PAGE_BYTES));
  const files = new Map<string, number>();
  const pages = new Map<string, Page>(); // in the order of use, the oldest first
  let closed = false;

  const load = (shard: ShardEntry, number: number, width: number): Page => {
    const path = join(directory, shard.file);
    let file = files.get(shard.file);
    if (file === undefined) files.set(shard.file, (file = openSync(path, 'r')));
    const size = Math.min(PAGE_BYTES, shard.tokens * width - number * PAGE_BYTES);
    const bytes = Buffer.from(new ArrayBuffer(size));
    for (let read = 0; read < size; ) {
      const more = readSync(file, bytes, read, size - read, number * PAGE_BYTES + read);
      if (more === 0) throw damagedShard(path, `ends before token ${shard.tokens}`);
      read += more;
    }
    if (endianness() === 'BE') void (width === 2 ? bytes.swap16() : bytes.swap32());
    return width === 2 ? new Uint16Array(bytes.buffer) : new Uint32Array(bytes.buffer);
  };
  const read: PageReader = (shard, number, width) => {
    if (closed) {
      throw new XMoEError('disposed', `${directory} was closed`, { op: 'openShards', hint: 'open the shards again' });
    }
    const key = `${shard.file} ${number}`;
    const page = pages.get(key) ?? load(shard, number, width);
    pages.delete(key);
    pages.set(key, page);
    if (pages.size > capacity) pages.delete(pages.keys().next().value!);
    return page;
  };
  const close = () => {
    closed = true;
    for (const file of files.values()) closeSync(file);
    files.clear();
    pages.clear();
  };
  return { read, close };
}

/** Throws unless every shard has the size the index says. */
async function checkShardSizes(directory: string, index: TokenLayout): Promise<void> {
  for (const shard of allShards(index)) {
    const path = join(directory, shard.file);
    const entry = await stat(path).catch((cause: unknown) => {
      throw damagedShard(path, 'is missing', cause);
    });
    const size = shard.tokens * bytesPerToken(index);
    if (entry.size !== size) throw damagedShard(path, `has ${entry.size} bytes instead of ${size}`);
  }
}

/** Where it is remembered which shards are right. */
const VERIFIED_FILE = 'verified.json';

/** Throws unless every shard is what the index says: its size, its sha256, and no id beyond the vocabulary. */
export async function verifyShards(
  directory: string,
  index: TokenLayout & { readonly tokenizer: { readonly vocabularySize: number } },
  verify: Verification = 'once',
): Promise<void> {
  await checkShardSizes(directory, index);
  if (verify === 'size') return;
  const { vocabularySize } = index.tokenizer;
  const record = await openContentRecord(verify === 'once' ? join(directory, VERIFIED_FILE) : undefined);
  for (const shard of allShards(index)) {
    const path = join(directory, shard.file);
    const { sha256, largest = -1 } = await record.contentOf(path, bytesPerToken(index));
    if (sha256 !== shard.sha256) throw damagedShard(path, 'was altered: its sha256 is not that of the index');
    if (largest >= vocabularySize) throw damagedShard(path, `holds the token ${largest}, and the vocabulary has ${vocabularySize}`);
  }
  await record.save();
}

function allShards(index: TokenLayout): ShardEntry[] {
  return splitNames.flatMap((name) => index.splits[name].shards);
}

export function damagedShard(path: string, problem: string, cause?: unknown): XMoEError {
  return new XMoEError('data', `${path} ${problem}`, {
    op: 'openShards',
    hint: 'the prepared data are damaged: remove the directory and prepare the corpus again',
    cause,
  });
}

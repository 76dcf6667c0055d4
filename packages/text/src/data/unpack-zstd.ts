// Unpacks zstd frame by frame and verifies each frame's checksum. Node's own zlib does it from 22.15 and 23.8 on; before, fzstd
// decodes, which reads past the checksum, so the content is hashed here. What a frame is: zstd-frames.ts.
import { Readable, type Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import * as zlib from 'node:zlib';
import { XMoEError } from '@xmoe/core';
import { Decompress } from 'fzstd';
import xxhash from 'xxhash-wasm';
import { withinDeadline } from './within-deadline.js';
import { readZstdFrames, type ZstdFrame } from './zstd-frames.js';

/** What newer versions of Node add to zlib. */
interface ZstdInZlib {
  createZstdDecompress?: (options: { chunkSize: number; params: Record<number, number> }) => Transform;
  constants: { ZSTD_d_windowLogMax?: number };
}

const CHUNK_BYTES = 1 << 18;
/** The most that the format's own implementation takes (`--long=31`). */
const LARGEST_WINDOW = 2 ** 31;
/** What fzstd can do; it moves the whole window for every block, so large ones are slow. */
const LARGEST_WINDOW_OF_FZSTD = 2 ** 27;

/** fzstd follows some damaged tables for ever. A block has at most 128 KiB, which take it milliseconds. */
const BLOCK_DEADLINE_MS = 30_000;

/** Unpacks one frame; throws when it is damaged. */
type UnpackFrame = (frame: ZstdFrame) => AsyncGenerator<Buffer>;

/**
 * The content of a zstd file. Throws errors without the file's name.
 * @param unpackFrame default: the best that this version of Node has
 */
export async function* unpackZstd(file: AsyncIterable<Buffer>, unpackFrame: UnpackFrame = defaultUnpacker()): AsyncGenerator<Buffer> {
  for await (const frame of readZstdFrames(file)) yield* unpackFrame(frame);
}

function defaultUnpacker(): UnpackFrame {
  const { createZstdDecompress } = zlib as unknown as ZstdInZlib;
  return createZstdDecompress === undefined ? unpackWithFzstd : unpackWithZlib;
}

async function* unpackWithZlib(frame: ZstdFrame): AsyncGenerator<Buffer> {
  refuseWindow(frame, LARGEST_WINDOW, 'compress it again without --long');
  const { createZstdDecompress, constants } = zlib as unknown as ZstdInZlib;
  const unpacked = createZstdDecompress!({ chunkSize: CHUNK_BYTES, params: { [constants.ZSTD_d_windowLogMax!]: 31 } });
  // pipeline and not pipe: it passes errors of the file on to the reader of `unpacked`
  const done = pipeline(Readable.from(wholeFrame(frame)), unpacked);
  done.catch(() => undefined); // an error ends the iteration; what is left of the file after the end of its data is no error
  for await (const chunk of unpacked) yield chunk as Buffer;
}

async function* wholeFrame(frame: ZstdFrame): AsyncGenerator<Buffer> {
  yield* frame.pieces();
  if (frame.hasChecksum) yield await frame.checksum();
}

/** For versions of Node without zstd. */
export async function* unpackWithFzstd(frame: ZstdFrame, blockDeadlineMs: number = BLOCK_DEADLINE_MS): AsyncGenerator<Buffer> {
  refuseWindow(frame, LARGEST_WINDOW_OF_FZSTD, 'use Node 22.15 or newer, or unpack it with zstd -d --long=31 first');
  const hash = (await xxhash()).create64(0n);
  let blocks: Buffer[] = [];
  const unpacker = new Decompress((block) => {
    hash.update(block);
    blocks.push(Buffer.from(block)); // a copy: the unpacker may write there again
  });
  const taken = (): Buffer[] => {
    const ready = blocks;
    blocks = [];
    return ready;
  };
  for await (const piece of frame.pieces()) {
    withinDeadline(blockDeadlineMs, () => unpacker.push(piece));
    yield* taken();
  }
  const checksum = frame.hasChecksum ? await frame.checksum() : undefined;
  if (checksum !== undefined) unpacker.push(checksum);
  unpacker.push(new Uint8Array(0), true); // it holds frames of a few bytes back until it knows that there is no more
  yield* taken();
  if (checksum !== undefined && BigInt.asUintN(32, hash.digest()) !== BigInt(checksum.readUInt32LE(0))) {
    throw new Error('the checksum of a frame does not match what it unpacks to');
  }
}

function refuseWindow({ windowBytes }: ZstdFrame, largest: number, hint: string): void {
  if (windowBytes <= largest) return;
  throw new XMoEError('data', `it needs a window of ${Math.round(windowBytes / 2 ** 20)} MiB, and ${largest / 2 ** 20} MiB is the most that can be had here`, { hint });
}

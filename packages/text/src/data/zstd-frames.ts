// The frames of a zstd file (RFC 8878): finds where each begins and ends, refuses by name what a decoder would garble or
// stumble over, and passes over skippable frames. It decodes nothing: see unpack-zstd.ts.
import { XMoEError } from '@xmoe/core';

const FRAME_MAGIC = 0xfd2fb528;
/** The last four bits are free. */
const SKIPPABLE_MAGIC = 0x184d2a50;
const RLE_BLOCK = 1;
const RESERVED_BLOCK = 3;

/** A frame of data. Its pieces must be read to the end before the next frame is asked for. */
export interface ZstdFrame {
  /** Bytes a decoder must look back over. */
  readonly windowBytes: number;
  /** Whether a checksum of the content (the low half of its XXH64) follows the blocks. */
  readonly hasChecksum: boolean;
  /** Header, then each block; not the checksum. */
  pieces(): AsyncGenerator<Buffer>;
  /** The checksum as stored; only after the pieces, and only where there is one. */
  checksum(): Promise<Buffer>;
}

/** The frames of a file. Throws errors without the file's name that say what is wrong: cut short, not zstd, needs a dictionary. */
export async function* readZstdFrames(file: AsyncIterable<Buffer>): AsyncGenerator<ZstdFrame> {
  const input = createByteReader(file);
  for (let number = 1; ; number++) {
    const magic = await input.take(4, true);
    if (magic === undefined) {
      if (number === 1) throw new Error('the file is empty');
      return;
    }
    const code = magic.readUInt32LE(0);
    if (code >>> 4 === SKIPPABLE_MAGIC >>> 4) await input.skip((await input.take(4)).readUInt32LE(0));
    else if (code === FRAME_MAGIC) yield await openFrame(input, magic);
    else throw new Error(number === 1 ? 'it does not begin as zstd does' : 'there is something else than a zstd frame after a frame');
  }
}

async function openFrame(input: ByteReader, magic: Buffer): Promise<ZstdFrame> {
  const descriptor = await input.take(1);
  const flags = descriptor[0];
  if ((flags & 0x08) !== 0) throw new Error('its frame header has a reserved bit set');
  const singleSegment = (flags & 0x20) !== 0;
  const windowField = await input.take(singleSegment ? 0 : 1);
  const dictionaryField = await input.take([0, 1, 2, 4][flags & 3]);
  const sizeField = await input.take([singleSegment ? 1 : 0, 2, 4, 8][flags >> 6]);
  const dictionary = littleEndian(dictionaryField);
  if (dictionary !== 0) {
    throw new XMoEError('data', `it was compressed with the dictionary ${dictionary}, which is not in the file`, {
      hint: 'unpack it with zstd -d -D DICTIONARY first',
    });
  }
  const contentBytes = littleEndian(sizeField) + (sizeField.length === 2 ? 256 : 0);
  const hasChecksum = (flags & 0x04) !== 0;
  return {
    windowBytes: singleSegment ? contentBytes : windowOf(windowField[0]),
    hasChecksum,
    async *pieces() {
      yield Buffer.concat([magic, descriptor, windowField, dictionaryField, sizeField]);
      for (let last = false; !last; ) {
        const header = await input.take(3);
        const bits = header.readUIntLE(0, 3);
        const type = (bits >> 1) & 3;
        if (type === RESERVED_BLOCK) throw new Error('a block is of the reserved kind');
        last = (bits & 1) !== 0;
        yield Buffer.concat([header, await input.take(type === RLE_BLOCK ? 1 : bits >> 3)]);
      }
    },
    checksum: () => input.take(4),
  };
}

/** Window of a frame from its descriptor: a power of two and eighths of it (RFC 8878, 3.1.1.1.2). */
function windowOf(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}

function littleEndian(bytes: Buffer): number {
  return bytes.reduceRight((value, byte) => value * 256 + byte, 0);
}

interface ByteReader {
  /** The next `count` bytes. At the end of the file throws, or gives undefined where `mayEnd` and nothing is left. */
  take(count: number): Promise<Buffer>;
  take(count: number, mayEnd: boolean): Promise<Buffer | undefined>;
  skip(count: number): Promise<void>;
}

function createByteReader(file: AsyncIterable<Buffer>): ByteReader {
  const chunks = file[Symbol.asyncIterator]();
  let current: Buffer = Buffer.alloc(0);
  const more = async (): Promise<boolean> => {
    const { value, done } = await chunks.next();
    if (done === true) return false;
    current = current.length === 0 ? value : Buffer.concat([current, value]);
    return true;
  };
  const cutShort = (): never => {
    throw new Error('it ends in the middle of a frame');
  };
  async function take(count: number): Promise<Buffer>;
  async function take(count: number, mayEnd: boolean): Promise<Buffer | undefined>;
  async function take(count: number, mayEnd = false): Promise<Buffer | undefined> {
    while (current.length < count) {
      if (await more()) continue;
      if (mayEnd && current.length === 0) return undefined;
      cutShort();
    }
    const taken = current.subarray(0, count);
    current = current.subarray(count);
    return taken;
  }
  return {
    take,
    async skip(count) {
      let left = count;
      for (; left > current.length; ) {
        left -= current.length;
        current = Buffer.alloc(0);
        if (!(await more())) cutShort();
      }
      current = current.subarray(left);
    },
  };
}

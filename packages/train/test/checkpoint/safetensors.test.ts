// The format: round trips, the published layout byte for byte, and a refusal of every kind of damage.
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { decodeSafetensors, encodeSafetensors } from '../../src/checkpoint/safetensors.js';
import { readSafetensors, writeSafetensors } from '../../src/checkpoint/safetensors-file.js';
import type { StoredTensor } from '../../src/checkpoint/tensor-format.js';
import { writeFully } from '@xmoe/files/node';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'xmoe-safetensors-'));
});
afterAll(() => rm(directory, { recursive: true }));

const shape = fc.array(fc.nat(4), { maxLength: 3 });
const count = (sizes: readonly number[]) => sizes.reduce((a, b) => a * b, 1);
const tensor: fc.Arbitrary<Omit<StoredTensor, 'name'>> = shape.chain((sizes) => {
  const n = { minLength: count(sizes), maxLength: count(sizes) };
  return fc.oneof(
    fc.float32Array({ ...n, noNaN: true }).map((data) => ({ dtype: 'float32' as const, shape: sizes, data })),
    fc.float64Array({ ...n, noNaN: true }).map((data) => ({ dtype: 'float64' as const, shape: sizes, data })),
    fc.int32Array(n).map((data) => ({ dtype: 'int32' as const, shape: sizes, data })),
    fc.uint32Array(n).map((data) => ({ dtype: 'uint32' as const, shape: sizes, data })),
    fc.uint8Array(n).map((data) => ({ dtype: 'uint8' as const, shape: sizes, data })),
    fc.uint8Array({ ...n, max: 1 }).map((data) => ({ dtype: 'bool' as const, shape: sizes, data })),
    // Multiples of 1/8 below 2048/8 are exact in half precision.
    fc.array(fc.integer({ min: -2047, max: 2047 }), n).map((values) => ({
      dtype: 'float16' as const,
      shape: sizes,
      data: Float32Array.from(values, (value) => value / 8),
    })),
  );
});
const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }).filter((n) => !n.startsWith('__'));
const tensors = fc.dictionary(name, tensor, { maxKeys: 6, noNullPrototype: true }).map((record) =>
  Object.entries(record).map(([key, value]) => ({ name: key, ...value })),
);
const sorted = (list: readonly StoredTensor[]) => [...list].sort((a, b) => (a.name < b.name ? -1 : 1));

/** A file from a header object and a number of data bytes. */
function file(header: unknown, dataBytes: number, headerText = JSON.stringify(header)): Uint8Array {
  const json = new TextEncoder().encode(headerText);
  const out = new Uint8Array(8 + json.length + dataBytes);
  new DataView(out.buffer).setUint32(0, json.length, true);
  out.set(json, 8);
  return out;
}
const entry = (begin: number, end: number, extra: object = {}) => ({
  dtype: 'F32', shape: [(end - begin) / 4], data_offsets: [begin, end], ...extra,
});

describe('safetensors', () => {
  it('round-trips any tensors, in memory and through a file', async () => {
    await fc.assert(
      fc.asyncProperty(tensors, fc.dictionary(name, fc.string(), { maxKeys: 2 }), fc.nat(), async (list, metadata, n) => {
        const encoded = encodeSafetensors(list, { metadata });
        const decoded = decodeSafetensors(encoded);
        expect(decodeSafetensors(Uint8Array.from(encoded).buffer)).toEqual(decoded); // as a response gives it
        expect(sorted(decoded.tensors)).toEqual(sorted(list));
        expect({ ...decoded.metadata }).toEqual({ ...metadata });
        const path = join(directory, `round-${n}`);
        await rm(path, { force: true });
        await writeSafetensors(path, list, { metadata });
        expect(await readSafetensors(path)).toEqual(decoded);
      }),
      { numRuns: 60 },
    );
  });

  it('writes the published layout: length, JSON padded to 8, wide types first', () => {
    const bytes = encodeSafetensors([
      { name: 'b', dtype: 'bool', shape: [1], data: Uint8Array.of(1) },
      { name: 'a', dtype: 'float32', shape: [], data: Float32Array.of(1) },
    ]);
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    expect(length % 8).toBe(0);
    expect(new TextDecoder().decode(bytes.subarray(8, 8 + length)).trimEnd()).toBe(
      '{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"b":{"dtype":"BOOL","shape":[1],"data_offsets":[4,5]}}',
    );
    expect([...bytes.subarray(8 + length)]).toEqual([0, 0, 0x80, 0x3f, 1]);
  });

  it('reads and writes bfloat16 as the upper half of a float32, to the nearest', () => {
    const encoded = (values: number[]): number[] => {
      const bytes = encodeSafetensors([{ name: 'b', dtype: 'bfloat16', shape: [values.length], data: Float32Array.from(values) }]);
      return [...decodeSafetensors(bytes).tensors[0]!.data];
    };
    // Eight bits of precision; halves go to the even neighbour; what is exact stays; the largest rounds up to infinity.
    expect(encoded([1, -2.5, 1 + 1 / 256, 1 + 3 / 256, 1.004, 3.4e38, 1e-40, 0, -0])).toEqual([1, -2.5, 1, 1 + 4 / 256, 1.0078125, Infinity, 2 ** -133, 0, -0]);
    expect(encoded([Number.NaN, -Infinity])).toEqual([Number.NaN, -Infinity]);
    const raw = encodeSafetensors([{ name: 'b', dtype: 'bfloat16', shape: [2], data: Uint16Array.of(0x3f80, 0xc020) }]); // as torch.bfloat16 has 1 and −2.5
    expect(decodeSafetensors(raw).tensors[0]).toEqual({ name: 'b', dtype: 'bfloat16', shape: [2], data: Float32Array.of(1, -2.5) });
  });

  it('stores float16 as the bits of half precision', () => {
    const data = Float32Array.of(1, -2, 65504, 2 ** -24);
    const bits = Uint16Array.of(0x3c00, 0xc000, 0x7bff, 1);
    const encoded = encodeSafetensors([{ name: 'h', dtype: 'float16', shape: [4], data }]);
    expect(encoded).toEqual(encodeSafetensors([{ name: 'h', dtype: 'float16', shape: [4], data: bits }]));
    expect(new Uint8Array(bits.buffer)).toEqual(encoded.subarray(-8));
    expect(decodeSafetensors(encoded).tensors[0]!.data).toEqual(data);
  });

  it('refuses what holds no bytes', () => {
    for (const given of [undefined, '{}', [1, 2], new Float32Array(2)]) expect(() => decodeSafetensors(given as never, 'weights')).toThrow(/^decodeSafetensors: weights: .* holds no bytes$/);
  });

  it('refuses every truncation and every byte too many', () => {
    const encoded = encodeSafetensors([{ name: 'w', dtype: 'float32', shape: [3], data: Float32Array.of(1, 2, 3) }]);
    for (let length = 0; length < encoded.length; length++) {
      expect(() => decodeSafetensors(encoded.slice(0, length), 'cut.safetensors')).toThrow(/cut\.safetensors is damaged/);
    }
    expect(() => decodeSafetensors(new Uint8Array([...encoded, 0]))).toThrow('1 bytes at its end belong to no tensor');
  });

  it.each([
    ['overlap', file({ a: entry(0, 8), b: entry(4, 12) }, 12), 'tensor b overlaps'],
    ['hole', file({ a: entry(0, 4), b: entry(8, 12) }, 12), '4 bytes before tensor b belong to no tensor'],
    ['hole at the start', file({ a: entry(4, 8) }, 8), '4 bytes before tensor a'],
    ['size', file({ a: entry(0, 8, { shape: [3] }) }, 8), 'tensor a takes 12 bytes, but its offsets are [0, 8]'],
    ['duplicate', file(0, 4, '{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":1}'), 'the key "a" appears twice'],
    ['prototype', file(0, 0, '{"__proto__":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'), '"__proto__" is not allowed'],
    ['negative', file({ a: entry(-4, 0) }, 0), 'tensor a takes'],
    ['impossible shape', file({ a: entry(0, 4, { shape: [-1, -1] }) }, 4), 'impossible shape [-1, -1]'],
    ['shape beyond numbers', file({ a: entry(0, 4, { shape: [2 ** 40, 2 ** 40] }) }, 4), 'too large'],
    ['overflow hidden by a zero', file({ a: entry(0, 0, { shape: [2 ** 40, 2 ** 40, 0] }) }, 0), 'tensor a is too large'],
    ['rank', file({ a: entry(0, 4, { shape: Array(65).fill(1) }) }, 4), 'tensor a has no valid shape'],
    ['byte order mark', file(0, 0, '\uFEFF{}'), 'its header does not begin with {'],
    ['a name of lines', file({ ['a\n\u001b[31m' + 'x'.repeat(200)]: 1 }, 0), /the entry of tensor a\\u000a\\u001b\[31mx{86,92}\.\.\. is not/],
    ['dtype', file({ a: entry(0, 4, { dtype: 'F8_E5M2' }) }, 4), 'dtype "F8_E5M2", which is not supported'],
    ['extra key', file({ a: entry(0, 4, { stride: 1 }) }, 4), 'unknown key "stride"'],
    ['no offsets', file({ a: { dtype: 'U8', shape: [0] } }, 0), 'no valid data_offsets'],
    ['list', file([], 0), 'does not begin with {'],
    ['no JSON', file(0, 0, '{"a"'), 'not valid JSON'],
    ['metadata', file({ __metadata__: { a: 1 } }, 0), 'must map strings to strings'],
    ['bool of 2', Uint8Array.of(...file({ a: { dtype: 'BOOL', shape: [1], data_offsets: [0, 1] } }, 0), 2), 'other than 0 and 1'],
  ])('refuses a file with: %s', async (title, bytes, message) => {
    expect(() => decodeSafetensors(bytes)).toThrow(expect.objectContaining({ code: 'checkpoint' }));
    expect(() => decodeSafetensors(bytes)).toThrow(message);
    const path = join(directory, title);
    await writeFile(path, bytes);
    await expect(readSafetensors(path)).rejects.toThrow(message);
  });

  it('takes a hundred thousand tensors, and no more', () => {
    const many = (count: number) => file(Object.fromEntries(Array.from({ length: count }, (_, i) => [`t${i}`, entry(0, 0, { shape: [0] })])), 0);
    expect(decodeSafetensors(many(100_000)).tensors).toHaveLength(100_000);
    expect(() => decodeSafetensors(many(100_001))).toThrow('it claims to hold 100001 tensors, and 100000 is the most');
  });

  it('refuses a header length of nonsense without allocating it', () => {
    const bytes = new Uint8Array(16).fill(0xff);
    expect(() => decodeSafetensors(bytes)).toThrow('its header claims 18446744073709551615 bytes');
  });

  it('S2: refuses tensors that contradict themselves', () => {
    const encode = (part: Partial<StoredTensor>) =>
      encodeSafetensors([{ name: 'w', dtype: 'float32', shape: [2], data: new Float32Array(2), ...part }]);
    expect(() => encode({ shape: [3] })).toThrow('tensor w has 2 elements but its shape is [3]');
    expect(() => encode({ data: new Int32Array(2) })).toThrow('tensor w is float32 but its data is a Int32Array');
    expect(() => encode({ name: '__metadata__' })).toThrow('cannot be named');
    const twice: StoredTensor = { name: 'w', dtype: 'uint8', shape: [0], data: new Uint8Array() };
    expect(() => encodeSafetensors([twice, twice])).toThrow('two tensors are named w');
  });

  it('decodes a Buffer that lies anywhere in its pool', () => {
    const list: StoredTensor[] = [{ name: 'w', dtype: 'float32', shape: [2], data: Float32Array.of(1, 2) }];
    const encoded = encodeSafetensors(list);
    for (let offset = 0; offset < 8; offset++) {
      const pool = Buffer.alloc(encoded.length + 8, 7);
      pool.set(encoded, offset);
      expect(decodeSafetensors(pool.subarray(offset, offset + encoded.length)).tensors).toEqual(list);
    }
  });

  it('reads only the tensors asked for', async () => {
    const path = join(directory, 'some');
    const list = ['a', 'b'].map((n, i): StoredTensor => ({ name: n, dtype: 'int32', shape: [1], data: Int32Array.of(i) }));
    await writeSafetensors(path, list);
    expect((await readSafetensors(path, { only: (n) => n === 'b' })).tensors).toEqual([list[1]]);
  });

  it('F13: reads what lies beyond 4 GiB of a file', async () => {
    const path = join(directory, 'large');
    const before = 2 ** 32 + 4096;
    const header = new TextEncoder().encode(JSON.stringify({
      large: { dtype: 'F32', shape: [before / 4], data_offsets: [0, before] },
      after: { dtype: 'F32', shape: [3], data_offsets: [before, before + 12] },
    }).padEnd(256));
    const file = await open(path, 'w');
    try {
      await file.write(new Uint8Array(new BigUint64Array([BigInt(header.length)]).buffer), 0, 8, 0);
      await file.write(header, 0, header.length, 8);
      const last = Float32Array.of(1, 2, 3); // what lies between is a hole that takes no room
      await file.write(new Uint8Array(last.buffer), 0, 12, 8 + header.length + before);
      expect((await readSafetensors(path, { only: (name) => name === 'after' })).tensors).toEqual([{ name: 'after', dtype: 'float32', shape: [3], data: last }]);
    } finally {
      await file.close();
      await rm(path);
    }
  });
});

describe('writeFully', () => {
  /** A sink that takes at most `most` bytes a call and is full after `capacity`, as a disk is in Node: no error. */
  function sink(most: number, capacity: number) {
    const stored: number[] = [];
    const calls: number[] = [];
    const write = async (bytes: Uint8Array, offset: number, length: number, position: number) => {
      expect(position).toBe(stored.length);
      calls.push(length);
      const taken = Math.min(length, most, capacity - stored.length);
      stored.push(...bytes.subarray(offset, offset + taken));
      return { bytesWritten: taken, buffer: bytes };
    };
    return { stored, calls, handle: { write } as unknown as Parameters<typeof writeFully>[0] };
  }

  it('loops over short counts', async () => {
    const { stored, handle } = sink(3, 100);
    await writeFully(handle, Uint8Array.from({ length: 10 }, (_, i) => i), 0, 'x');
    expect(stored).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('names ENOSPC when the disk takes nothing more', async () => {
    await expect(writeFully(sink(3, 7).handle, new Uint8Array(10), 0, 'w.safetensors')).rejects.toThrow(
      'cannot write w.safetensors: ENOSPC, no space left on the disk (at byte 7)',
    );
  });

  it('names the error of a failing disk', async () => {
    const write = () => Promise.reject(Object.assign(new Error('i/o error'), { code: 'EIO' }));
    const handle = { write } as unknown as Parameters<typeof writeFully>[0];
    await expect(writeFully(handle, new Uint8Array(1), 0, 'w')).rejects.toThrow('cannot write w: EIO (at byte 0)');
  });

  it('never asks for more than one call can transfer', async () => {
    const lengths: number[] = [];
    const write = async (bytes: Uint8Array, _: number, length: number) => {
      lengths.push(length);
      return { bytesWritten: length, buffer: bytes };
    };
    // Only the length is read by this sink, so three gigabytes need not exist.
    const huge = { length: 3 * 2 ** 30 } as Uint8Array;
    await writeFully({ write } as unknown as Parameters<typeof writeFully>[0], huge, 0, 'w');
    expect(Math.max(...lengths)).toBeLessThan(2 ** 31);
    expect(lengths.reduce((a, b) => a + b)).toBe(3 * 2 ** 30);
  });
});

// Writing when the disk misbehaves: short counts are continued, no progress and errors are named.
import type { FileHandle } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { writeFully } from '../../src/data/durable-files.js';

/** A handle that takes at most `most` bytes a call, and `room` in all. */
function stingyHandle(most: number, room: number, whenFull?: Error) {
  const written: number[] = [];
  const write = (bytes: Uint8Array, offset: number, length: number) => {
    const taken = bytes.subarray(offset, offset + Math.min(length, most, room - written.length));
    if (taken.length === 0 && whenFull !== undefined) return Promise.reject(whenFull);
    written.push(...taken);
    return Promise.resolve({ bytesWritten: taken.length, buffer: bytes });
  };
  return { written, handle: { write } as unknown as FileHandle };
}

const bytes = Uint8Array.from({ length: 10 }, (_, i) => i);

describe('writeFully', () => {
  it('goes on after a short write', async () => {
    const { handle, written } = stingyHandle(3, 100);
    await writeFully(handle, bytes, 'shard.bin');
    expect(written).toEqual([...bytes]);
  });

  it('throws when the disk is full, with or without an error from it', async () => {
    await expect(writeFully(stingyHandle(3, 7).handle, bytes, 'shard.bin')).rejects.toThrow(
      'shard.bin: cannot be written whole: the disk takes no more bytes',
    );
    const full = stingyHandle(10, 7, new Error('ENOSPC: no space left on device'));
    await expect(writeFully(full.handle, bytes, 'shard.bin')).rejects.toMatchObject({
      message: 'prepareShards: shard.bin: cannot be written whole: ENOSPC: no space left on device',
      hint: expect.stringContaining('free some space') as string,
    });
  });
});

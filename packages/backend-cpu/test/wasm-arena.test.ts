// The arena of the engine's memory: regions never overlap, are aligned, join again when freed, and do not fragment under steps
// whose sizes differ.
import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { ALIGNMENT, createArena, roundToClass, type Block } from '../src/engine/arena.js';

const START = 4096;

/** An arena that may grow to `limit` bytes, and how far it has. */
function bounded(limit = 2 ** 31) {
  let held = 0;
  const arena = createArena(START, (bytes) => {
    if (held + bytes > limit) return 0;
    held += bytes;
    return bytes;
  });
  return { arena, held: () => held };
}

describe('the arena', () => {
  it('never gives overlapping or unaligned regions, and joins all that was freed', () => {
    const sizes = fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 100_000 }), fc.integer({ min: 0, max: 5_000_000 }));
    const step = fc.record({ size: sizes, release: fc.option(fc.nat()) });
    fc.assert(fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const { arena, held } = bounded();
      const live: (Block & { wanted: number })[] = [];
      const give = (index: number): void => arena.give(live.splice(index, 1)[0]);
      for (const { size, release } of steps) {
        const block = arena.take(size) as Block;
        expect(block.offset % ALIGNMENT).toBe(0);
        expect(block.bytes).toBeGreaterThanOrEqual(size);
        expect(block.offset).toBeGreaterThanOrEqual(START);
        expect(block.offset + block.bytes).toBeLessThanOrEqual(START + held());
        for (const other of live) expect(block.offset + block.bytes <= other.offset || other.offset + other.bytes <= block.offset).toBe(true);
        live.push(Object.assign(block, { wanted: size }));
        if (release !== null) give(release % live.length);
        expect(arena.taken()).toBe(live.reduce((sum, { bytes }) => sum + bytes, 0));
      }
      while (live.length > 0) give(live.length >> 1);
      expect(arena.taken()).toBe(0);
      // One region as large as all of it is there without growing.
      const before = held();
      if (before > 0) {
        const whole = arena.take(2 ** Math.floor(Math.log2(before)));
        expect(whole?.offset).toBe(START);
      }
      expect(held()).toBe(before);
    }), { numRuns: 150 });
  });

  it('rounds a size up by at most an eighth, or to the next 64', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 2 ** 31 }), (bytes) => {
      const rounded = roundToClass(bytes);
      expect(rounded).toBeGreaterThanOrEqual(bytes);
      expect(rounded).toBeLessThanOrEqual(Math.max(bytes + 64, bytes * 1.126 + 64));
      expect(roundToClass(rounded)).toBe(rounded);
    }));
  });

  it('stays within twice what is live when sizes change from step to step', () => {
    const { arena, held } = bounded();
    let seed = 1;
    const random = (): number => (seed = (seed * 48271) % 2147483647) / 2147483647;
    let peak = 0;
    for (let step = 0; step < 400; step++) {
      const rows = 100 + Math.floor(random() * 900);
      const blocks = Array.from({ length: 40 }, (_, i) => arena.take(rows * 64 * (1 + (i % 7))) as Block);
      peak = Math.max(peak, arena.taken());
      blocks.sort(() => random() - 0.5).forEach((block) => arena.give(block));
    }
    expect(held()).toBeLessThan(2 * peak);
  });

  it('answers undefined where the memory ends, and still serves what fits', () => {
    const { arena } = bounded(1_000_000);
    const first = arena.take(600_000) as Block;
    expect(arena.take(600_000)).toBeUndefined();
    expect(arena.take(2 ** 33)).toBeUndefined();
    expect(arena.take(100_000)).toBeDefined();
    arena.give(first);
    expect(arena.take(600_000)?.offset).toBe(first.offset);
  });
});

// Arrays that are used again: each new one costs the system its pages, and is given back late.

export interface Blocks {
  /** `length` numbers, whatever they are. */
  take(length: number): Float32Array;
  /** Lets go of what was taken. */
  give(values: Float32Array): void;
}

/** Arrays of up to `size` numbers are parts of blocks of that size; longer ones are used again for their own length. */
export function createBlocks(size: number): Blocks {
  const free = new Map<number, ArrayBuffer[]>();
  return {
    take(length) {
      const bytes = Math.max(size, length) * Float32Array.BYTES_PER_ELEMENT;
      return new Float32Array(free.get(bytes)?.pop() ?? new ArrayBuffer(bytes), 0, length);
    },
    give({ buffer }) {
      const same = free.get(buffer.byteLength);
      if (same) same.push(buffer as ArrayBuffer);
      else free.set(buffer.byteLength, [buffer as ArrayBuffer]);
    },
  };
}

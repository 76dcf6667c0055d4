// Arrays that are used again: each new one costs the system its pages, and is given back late.

export interface Blocks {
  /** `length` numbers, whatever they are. */
  take(length: number): Float32Array;
  /** Lets go of what was taken. */
  give(values: Float32Array): void;
}

/** Of up to `most` numbers each; longer arrays are not kept. */
export function createBlocks(most: number): Blocks {
  const free: ArrayBuffer[] = [];
  const bytes = most * Float32Array.BYTES_PER_ELEMENT;
  return {
    take: (length) => (length > most ? new Float32Array(length) : new Float32Array(free.pop() ?? new ArrayBuffer(bytes), 0, length)),
    give({ buffer }) {
      if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes) free.push(buffer);
    },
  };
}

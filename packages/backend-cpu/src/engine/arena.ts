// Hands out regions of one growing memory: two-level segregated fit (Masmano et al. 2004) with size classes, splitting and
// immediate coalescing, so that steps whose sizes differ do not fragment it. Knows nothing about tensors.

/** A region of the memory, free or taken. */
export interface Block {
  readonly offset: number;
  bytes: number;
  free: boolean;
  /** Neighbours by address. */
  before: Block | undefined;
  after: Block | undefined;
  /** Neighbours in the list of free blocks of one class. */
  previous: Block | undefined;
  next: Block | undefined;
}

export interface Arena {
  /** A region of at least `bytes`, aligned to 64. Undefined when the memory cannot grow that far. */
  take(bytes: number): Block | undefined;
  give(block: Block): void;
  /** Bytes in taken blocks. */
  taken(): number;
}

export const ALIGNMENT = 64;
/** Classes per power of two, as a power of two: a request is rounded up by at most an eighth. */
const STEP_BITS = 3;
const ALIGNMENT_BITS = 6;
const CLASSES = 32 << STEP_BITS;
/** Sizes are told apart by 32-bit logarithms; a region larger than this cannot be addressed anyway. */
const LIMIT_BYTES = 2 ** 32 - 2 ** 29;

/** Within the power of two of `bytes`, the bits that do not tell classes apart. */
function fineBits(bytes: number): number {
  return Math.max(ALIGNMENT_BITS, 31 - Math.clz32(bytes) - STEP_BITS);
}

/** `bytes` rounded up to the sizes of its class. */
export function roundToClass(bytes: number): number {
  const aligned = Math.max(ALIGNMENT, Math.ceil(bytes / ALIGNMENT) * ALIGNMENT);
  const step = 1 << fineBits(aligned);
  return Math.ceil(aligned / step) * step;
}

/** The highest class whose sizes are all ≤ `bytes`. */
function classOf(bytes: number): number {
  const power = 31 - Math.clz32(bytes);
  return (power << STEP_BITS) | ((bytes >>> fineBits(bytes)) & ((1 << Math.min(STEP_BITS, power - ALIGNMENT_BITS)) - 1));
}

/** Lengthens the memory at its end by at least `bytes`; returns by how many, or 0. */
export type Grow = (bytes: number) => number;

/** An arena of the addresses from `start` on, all of which `grow` adds. */
export function createArena(start: number, grow: Grow): Arena {
  return new SegregatedFit(start, grow);
}

class SegregatedFit implements Arena {
  /** The first free block of each class, and one bit for each class that has one. */
  private readonly lists = new Array<Block | undefined>(CLASSES).fill(undefined);
  private readonly filled = new Int32Array(CLASSES / 32);
  private last: Block | undefined;
  private end: number;
  private takenBytes = 0;

  constructor(start: number, private readonly grow: Grow) {
    this.end = start;
  }

  take(wanted: number): Block | undefined {
    if (!(wanted < LIMIT_BYTES)) return undefined;
    const bytes = roundToClass(wanted);
    const block = this.find(bytes) ?? (this.extend(bytes) ? this.find(bytes) : undefined);
    if (block === undefined) return undefined;
    this.unlink(block);
    if (block.bytes - bytes >= ALIGNMENT) this.trim(block, bytes);
    this.takenBytes += block.bytes;
    return block;
  }

  give(block: Block): void {
    this.takenBytes -= block.bytes;
    let whole = block;
    const { before, after } = block;
    if (after?.free) {
      this.unlink(after);
      this.join(whole, after);
    }
    if (before?.free) {
      this.unlink(before);
      this.join(before, whole);
      whole = before;
    }
    this.link(whole);
  }

  taken(): number {
    return this.takenBytes;
  }

  /** The first block of the lowest class that serves `bytes`, a size of a class. */
  private find(bytes: number): Block | undefined {
    const list = classOf(bytes);
    let word = list >>> 5;
    let bits = this.filled[word] & (-1 << (list & 31));
    while (bits === 0 && ++word < this.filled.length) bits = this.filled[word];
    return bits === 0 ? undefined : this.lists[(word << 5) + 31 - Math.clz32(bits & -bits)];
  }

  private link(block: Block): void {
    const list = classOf(block.bytes);
    block.free = true;
    block.previous = undefined;
    block.next = this.lists[list];
    if (block.next) block.next.previous = block;
    this.lists[list] = block;
    this.filled[list >>> 5] |= 1 << (list & 31);
  }

  private unlink(block: Block): void {
    if (block.next) block.next.previous = block.previous;
    if (block.previous) {
      block.previous.next = block.next;
    } else {
      const list = classOf(block.bytes);
      this.lists[list] = block.next;
      if (block.next === undefined) this.filled[list >>> 5] &= ~(1 << (list & 31));
    }
    block.free = false;
  }

  /** Adds `bytes` of free memory at the end, less what is free there already. */
  private extend(bytes: number): boolean {
    const tail = this.last?.free ? this.last : undefined;
    const missing = bytes - (tail?.bytes ?? 0);
    const grown = this.grow(missing);
    if (grown < missing) return false;
    const added = createBlock(this.end, grown, this.last, undefined);
    if (this.last) this.last.after = added;
    this.last = added;
    this.end += grown;
    this.takenBytes += grown;
    this.give(added);
    return true;
  }

  /** Cuts what a block has beyond `bytes` off into a free block. */
  private trim(block: Block, bytes: number): void {
    const rest = createBlock(block.offset + bytes, block.bytes - bytes, block, block.after);
    if (block.after) block.after.before = rest;
    else this.last = rest;
    block.after = rest;
    block.bytes = bytes;
    this.link(rest);
  }

  /** Adds `second` to `first`; neither is in a list. */
  private join(first: Block, second: Block): void {
    first.bytes += second.bytes;
    first.after = second.after;
    if (second.after) second.after.before = first;
    else this.last = first;
  }
}

function createBlock(offset: number, bytes: number, before: Block | undefined, after: Block | undefined): Block {
  return { offset, bytes, free: false, before, after, previous: undefined, next: undefined };
}

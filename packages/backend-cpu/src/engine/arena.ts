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
/** Classes per power of two: a request is rounded up by at most an eighth. */
const STEPS = 8;

/** `bytes` rounded up to the sizes of its class. */
export function roundToClass(bytes: number): number {
  const aligned = Math.max(ALIGNMENT, Math.ceil(bytes / ALIGNMENT) * ALIGNMENT);
  const step = Math.max(ALIGNMENT, 2 ** (31 - Math.clz32(aligned)) / STEPS);
  return Math.ceil(aligned / step) * step;
}

/** The highest class whose sizes are all ≤ `bytes`. */
function classOf(bytes: number): number {
  const power = 31 - Math.clz32(bytes);
  const step = Math.max(ALIGNMENT, 2 ** power / STEPS);
  return power * STEPS + Math.floor((bytes - 2 ** power) / step);
}

/** `grow(bytes)` lengthens the memory at its end by at least `bytes` and returns by how many, or 0. */
export function createArena(start: number, grow: (bytes: number) => number): Arena {
  const lists = new Array<Block | undefined>(33 * STEPS).fill(undefined);
  let last: Block | undefined;
  let end = Math.ceil(start / ALIGNMENT) * ALIGNMENT;
  let taken = 0;

  function link(block: Block): void {
    const list = classOf(block.bytes);
    block.free = true;
    block.previous = undefined;
    block.next = lists[list];
    if (block.next) block.next.previous = block;
    lists[list] = block;
  }

  function unlink(block: Block): void {
    if (block.next) block.next.previous = block.previous;
    if (block.previous) block.previous.next = block.next;
    else lists[classOf(block.bytes)] = block.next;
    block.free = false;
  }

  function append(bytes: number): Block {
    const block: Block = { offset: end, bytes, free: false, before: last, after: undefined, previous: undefined, next: undefined };
    if (last) last.after = block;
    last = block;
    end += bytes;
    return block;
  }

  function extend(bytes: number): boolean {
    const missing = last?.free ? bytes - last.bytes : bytes;
    const grown = grow(missing);
    if (grown < missing) return false;
    if (last?.free) {
      unlink(last);
      last.bytes += grown;
      end += grown;
      link(last);
    } else {
      link(append(grown));
    }
    return true;
  }

  function find(bytes: number): Block | undefined {
    for (let list = classOf(bytes); list < lists.length; list++) {
      if (lists[list]) return lists[list];
    }
    return undefined;
  }

  /** Cuts what a block has beyond `bytes` off into a free block. */
  function trim(block: Block, bytes: number): void {
    const rest: Block = {
      offset: block.offset + bytes, bytes: block.bytes - bytes, free: false,
      before: block, after: block.after, previous: undefined, next: undefined,
    };
    if (block.after) block.after.before = rest;
    else last = rest;
    block.after = rest;
    block.bytes = bytes;
    link(rest);
  }

  /** Joins `second` into `first`, both unlinked. */
  function join(first: Block, second: Block): Block {
    first.bytes += second.bytes;
    first.after = second.after;
    if (second.after) second.after.before = first;
    else last = first;
    return first;
  }

  return {
    take(wanted) {
      const bytes = roundToClass(wanted);
      const block = find(bytes) ?? (extend(bytes) ? find(bytes) : undefined);
      if (block === undefined) return undefined;
      unlink(block);
      if (block.bytes - bytes >= ALIGNMENT) trim(block, bytes);
      taken += block.bytes;
      return block;
    },
    give(block) {
      taken -= block.bytes;
      let whole = block;
      if (whole.after?.free) {
        unlink(whole.after);
        whole = join(whole, whole.after);
      }
      if (whole.before?.free) {
        unlink(whole.before);
        whole = join(whole.before, whole);
      }
      link(whole);
    },
    taken: () => taken,
  };
}

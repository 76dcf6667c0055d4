// A hash table from exact non-negative integers (up to 2^53 − 1) to counts, in two typed arrays: a Map of so many bigrams
// would take several times the memory. Keys are never removed.

export interface CountTable {
  readonly size: number;
  /** Adds 1 and returns the new count. */
  increment(key: number): number;
  /** 0 for a key never seen. */
  get(key: number): number;
  forEach(visit: (key: number, count: number) => void): void;
}

/** An empty table with open addressing, at most half full. */
export function createCountTable(): CountTable {
  let capacity = 1 << 12;
  let keys = new Float64Array(capacity).fill(-1);
  let counts = new Uint32Array(capacity);
  let size = 0;

  const slotOf = (key: number): number => {
    let slot = mix(key) & (capacity - 1);
    while (keys[slot] !== key && keys[slot] !== -1) slot = (slot + 1) & (capacity - 1);
    return slot;
  };
  const grow = () => {
    const [oldKeys, oldCounts] = [keys, counts];
    capacity *= 2;
    keys = new Float64Array(capacity).fill(-1);
    counts = new Uint32Array(capacity);
    oldKeys.forEach((key, from) => {
      if (key === -1) return;
      const slot = slotOf(key);
      keys[slot] = key;
      counts[slot] = oldCounts[from];
    });
  };
  return {
    get size() {
      return size;
    },
    increment(key) {
      let slot = slotOf(key);
      if (keys[slot] === -1) {
        if (2 * (size + 1) > capacity) {
          grow();
          slot = slotOf(key);
        }
        keys[slot] = key;
        size++;
      }
      return ++counts[slot];
    },
    get: (key) => counts[slotOf(key)],
    forEach(visit) {
      for (let slot = 0; slot < capacity; slot++) if (keys[slot] !== -1) visit(keys[slot], counts[slot]);
    },
  };
}

function mix(key: number): number {
  const high = Math.floor(key / 2 ** 32);
  let hash = Math.imul(key | 0, 0x9e3779b1) ^ Math.imul(high, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 15), 0xc2b2ae35);
  return (hash ^ (hash >>> 13)) >>> 0;
}

// The stable argsort of 32-bit keys on the host, for backends whose memory the host can see. Not an op: see sortByKey.

/**
 * Writes the indices of `keys` in ascending order into `permutation`, equal keys by index. −0 equals +0; NaN comes last.
 * Least-significant-digit radix sort, one byte a pass; a byte that all keys share costs no pass.
 */
export function stableArgsort(keys: Float32Array | Int32Array, permutation: Int32Array): void {
  radixSort(sortableWords(keys), permutation);
}

/** Unsigned words in the order of the keys: the sign bit flipped, or all bits of a negative float. */
function sortableWords(keys: Float32Array | Int32Array): Uint32Array {
  const words = new Uint32Array(keys.length);
  if (keys instanceof Int32Array) {
    for (let i = 0; i < words.length; i++) words[i] = keys[i]! ^ 0x80000000;
    return words;
  }
  new Float32Array(words.buffer).set(keys);
  for (let i = 0; i < words.length; i++) {
    const bits = words[i]!;
    if ((bits & 0x7fffffff) > 0x7f800000) words[i] = 0xffffffff;
    else if (bits === 0x80000000) words[i] = 0x80000000;
    else words[i] = bits & 0x80000000 ? ~bits : bits | 0x80000000;
  }
  return words;
}

function radixSort(words: Uint32Array, permutation: Int32Array): void {
  const n = words.length;
  let from = new Int32Array(n);
  let to = new Int32Array(n);
  for (let i = 0; i < n; i++) from[i] = i;
  const counts = new Int32Array(256);
  for (let shift = 0; shift < 32; shift += 8) {
    counts.fill(0);
    for (let i = 0; i < n; i++) counts[(words[i]! >>> shift) & 255]!++;
    if (n === 0 || counts[(words[0]! >>> shift) & 255] === n) continue;
    for (let digit = 0, start = 0; digit < 256; digit++) {
      const count = counts[digit]!;
      counts[digit] = start;
      start += count;
    }
    for (let i = 0; i < n; i++) to[counts[(words[from[i]!]! >>> shift) & 255]!++] = from[i]!;
    [from, to] = [to, from];
  }
  permutation.set(from);
}

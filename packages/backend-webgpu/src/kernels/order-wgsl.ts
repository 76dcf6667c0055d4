// WGSL that ordering kernels are put together from: words that order as numbers do, and, within one workgroup, sums over earlier
// lanes, a sort of pairs, the selection of the smallest of many. All orders ascend by (word, index): no two pairs are equal, so
// the result never depends on which lane came first. Not kernels.
import type { DType } from '@xmoe/core';

/** Threads of one workgroup of an ordering kernel. */
export const ORDER_GROUP = 256;
/** Pairs that one workgroup sorts in its memory: 8 KiB. */
export const RUN = 1024;
/** Bins that {@link selectWgsl} counts at once: 4 KiB. */
const DIGIT_BITS = 10;

/**
 * `ascending(bits)` and `descending(bits)`: unsigned words in the order of float32 numbers given by their bits. −0 is 0; NaN comes
 * last in both. Bits instead of floats, because shaders need not tell NaN and infinities apart.
 */
export const FLOAT_WORDS_WGSL = `
fn ascending(bits: u32) -> u32 {
  let size = bits & 0x7fffffffu;
  if (size > 0x7f800000u) { return 0xffffffffu; }
  if (size == 0u) { return 0x80000000u; }
  return select(bits | 0x80000000u, ~bits, bits > 0x80000000u);
}
fn descending(bits: u32) -> u32 {
  return select(~ascending(bits), 0xffffffffu, (bits & 0x7fffffffu) > 0x7f800000u);
}`.trim();

/** The float32 bits of element `at` of the buffer `name`; float32 buffers are bound as u32 for it. */
export function bitsOf(dtype: DType, name: string, at: string): string {
  return dtype === 'float16' ? `bitcast<u32>(f32(${name}[${at}]))` : `${name}[${at}]`;
}

/**
 * `sumBefore(value, lane)`: the sum over the lanes before this one; `sumOfAll` then holds that of all lanes, for
 * workgroupUniformLoad. Two rounds of short sums: barriers cost more than reads.
 */
export const SUM_BEFORE_WGSL = `
var<workgroup> parts: array<u32, ${ORDER_GROUP}>;
var<workgroup> blocks: array<u32, ${ORDER_GROUP / 16}>;
var<workgroup> sumOfAll: u32;
fn sumBefore(value: u32, lane: u32) -> u32 {
  workgroupBarrier();
  parts[lane] = value;
  workgroupBarrier();
  var before = 0u;
  for (var i = lane & ~15u; i < lane; i++) { before += parts[i]; }
  if ((lane & 15u) == 15u) { blocks[lane / 16u] = before + value; }
  workgroupBarrier();
  for (var block = 0u; block < lane / 16u; block++) { before += blocks[block]; }
  if (lane == ${ORDER_GROUP - 1}u) { sumOfAll = before + value; }
  return before;
}`.trim();

/** `isBefore(a, b)`: the order of pairs. */
export const IS_BEFORE_WGSL = 'fn isBefore(a: vec2u, b: vec2u) -> bool { return a.x < b.x || (a.x == b.x && a.y < b.y); }';

/**
 * `sortPairs(count, lane)`: sorts pairs[0 … count) of workgroup memory, for any count up to RUN that is the same for all lanes.
 * Bitonic (Batcher 1968). Needs isBefore.
 */
export const SORT_PAIRS_WGSL = `
var<workgroup> pairs: array<vec2u, ${RUN}>;
fn sortPairs(count: u32, lane: u32) {
  var size = 1u;
  while (size < count) { size <<= 1u; }
  for (var i = count + lane; i < size; i += ${ORDER_GROUP}u) { pairs[i] = vec2u(0xffffffffu); }
  for (var span = 2u; span <= size; span <<= 1u) {
    for (var stride = span >> 1u; stride > 0u; stride >>= 1u) {
      workgroupBarrier();
      for (var i = lane; i < size / 2u; i += ${ORDER_GROUP}u) {
        let low = 2u * i - (i & (stride - 1u));
        let a = pairs[low];
        let b = pairs[low + stride];
        if (isBefore(b, a) == ((low & span) == 0u)) {
          pairs[low] = b;
          pairs[low + stride] = a;
        }
      }
    }
  }
  workgroupBarrier();
}`.trim();

/**
 * `boundOf(wanted, count, indexBits, lane)`: the last of the `wanted` smallest pairs (or a pair between it and the next), among the
 * candidates 0 … count − 1 that \`candidate(i) -> vec3u\` describes: word, index (below 2^indexBits), and 1, or 0 for no candidate.
 * There must be at least \`wanted\` ≥ 1. One digit after the other from the top, counting candidates that share the digits so far;
 * it stops as soon as a bin is wanted whole. Needs sumBefore.
 */
export const BOUND_WGSL = `
var<workgroup> bins: array<atomic<u32>, ${2 ** DIGIT_BITS}>;
// A bin, the number of the wanted pair within it, and how many are in it.
var<workgroup> chosen: vec3u;
fn boundOf(wanted: u32, count: u32, indexBits: u32, lane: u32) -> vec2u {
  var left = wanted;
  var prefix = vec2u(0);
  var fixed = vec2u(0);
  var open = 32u;
  while (open > 0u) {
    let inWord = fixed.x != 0xffffffffu;
    let shift = open - min(open, ${DIGIT_BITS}u);
    for (var bin = lane; bin < ${2 ** DIGIT_BITS}u; bin += ${ORDER_GROUP}u) { atomicStore(&bins[bin], 0u); }
    workgroupBarrier();
    for (var i = lane; i < count; i += ${ORDER_GROUP}u) {
      let pair = candidate(i);
      if (pair.z == 1u && all((pair.xy & fixed) == prefix)) {
        atomicAdd(&bins[(select(pair.y & ~fixed.y, pair.x & ~fixed.x, inWord)) >> shift], 1u);
      }
    }
    workgroupBarrier();
    let first = lane * ${2 ** DIGIT_BITS / ORDER_GROUP}u;
    var mine = 0u;
    for (var bin = first; bin < first + ${2 ** DIGIT_BITS / ORDER_GROUP}u; bin++) { mine += atomicLoad(&bins[bin]); }
    var before = sumBefore(mine, lane);
    if (before < left && left <= before + mine) {
      var bin = first;
      while (before + atomicLoad(&bins[bin]) < left) {
        before += atomicLoad(&bins[bin]);
        bin++;
      }
      chosen = vec3u(bin, left - before, atomicLoad(&bins[bin]));
    }
    let found = workgroupUniformLoad(&chosen);
    left = found.y;
    let whole = found.y == found.z;
    let rest = (1u << shift) - 1u;
    // A bin that is wanted whole ends at its last pair.
    let digit = (found.x << shift) | select(0u, rest, whole);
    if (inWord) {
      prefix = vec2u(prefix.x | digit, select(0u, 0xffffffffu, whole));
      fixed.x = ~rest;
      open = select(shift, indexBits, shift == 0u);
    } else {
      prefix.y |= digit;
      fixed.y = ~rest;
      open = shift;
    }
    if (whole) { open = 0u; }
  }
  return prefix;
}`.trim();

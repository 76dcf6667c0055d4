// The WGSL of the radix sort. Who launches what is in radix-sort.ts.
import type { DType } from '@xmoe/core';
import { bitsOf, FLOAT_WORDS_WGSL, IS_BEFORE_WGSL, ORDER_GROUP, SORT_PAIRS_WGSL, SUM_BEFORE_WGSL } from './order-wgsl.js';

export interface RadixKey {
  readonly dtype: DType;
  readonly order: 'ascending' | 'descending';
}

/** `wordAt(i)`: the key i of the buffer `name` as a word that orders as asked. float32 and int32 are bound as their bits. */
function wordWgsl({ dtype, order }: RadixKey, name: string): string {
  if (dtype !== 'int32') return `${FLOAT_WORDS_WGSL}\nfn wordAt(i: u32) -> u32 { return ${order}(${bitsOf(dtype, name, 'i')}); }`;
  const flip = order === 'ascending' ? '0x80000000u' : '0x7fffffffu';
  return `fn wordAt(i: u32) -> u32 { return ${name}[i] ^ ${flip}; }`;
}

/** One workgroup sorts all. */
export function sortFewWgsl(key: RadixKey): string {
  return `
${wordWgsl(key, 'keys')}
${IS_BEFORE_WGSL}
${SORT_PAIRS_WGSL}
@compute @workgroup_size(${ORDER_GROUP})
fn main(@builtin(local_invocation_index) lane: u32) {
  for (var i = lane; i < args.length; i += ${ORDER_GROUP}u) { pairs[i] = vec2u(wordAt(i), i); }
  sortPairs(args.length, lane);
  for (var i = lane; i < args.length; i += ${ORDER_GROUP}u) { permutation[i] = pairs[i].y; }
}`.trim();
}

/** Counts [passes, tiles, 256]: the digits of the first pass by tile, and zeros for the others. */
export function countWgsl(key: RadixKey): string {
  return `
${wordWgsl(key, 'keys')}
var<workgroup> digits: array<atomic<u32>, ${ORDER_GROUP}>;
@compute @workgroup_size(${ORDER_GROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let end = min(args.length, (group.x + 1u) * args.tile);
  for (var i = group.x * args.tile + lane; i < end; i += ${ORDER_GROUP}u) { atomicAdd(&digits[wordAt(i) & 255u], 1u); }
  workgroupBarrier();
  counts[group.x * ${ORDER_GROUP}u + lane] = atomicLoad(&digits[lane]);
  for (var byte = 1u; byte < args.passes; byte++) { counts[(byte * args.tiles + group.x) * ${ORDER_GROUP}u + lane] = 0u; }
}`.trim();
}

/**
 * Moves the pairs of a tile to their places by one digit, 256 at a time: a bit per lane and digit says who is before whom.
 * The first pass makes the pairs, the last keeps the indices alone.
 */
export function scatterWgsl(key: RadixKey, { first, last }: { readonly first: boolean; readonly last: boolean }): string {
  const words = ORDER_GROUP / 32;
  return `
${first ? wordWgsl(key, 'source') : ''}
${SUM_BEFORE_WGSL}
var<workgroup> places: array<u32, ${ORDER_GROUP}>;
var<workgroup> lanes: array<atomic<u32>, ${ORDER_GROUP * words}>;
fn digitOf(pair: vec2u, byte: u32) -> u32 {
  let word = select(pair.x, pair.y / args.rowLength, byte >= 4u);
  return (word >> ((byte & 3u) * 8u)) & 255u;
}
@compute @workgroup_size(${ORDER_GROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  var earlier = 0u;
  var total = 0u;
  for (var tile = 0u; tile < args.tiles; tile++) {
    let count = atomicLoad(&counts[(args.byte * args.tiles + tile) * ${ORDER_GROUP}u + lane]);
    total += count;
    earlier += select(0u, count, tile < group.x);
  }
  places[lane] = sumBefore(total, lane) + earlier;
  let bit = 1u << (lane & 31u);
  for (var step = 0u; step < args.tile; step += ${ORDER_GROUP}u) {
    let i = group.x * args.tile + step + lane;
    let inside = i < args.length;
    var pair = vec2u(0);
    var digit = 0u;
    if (inside) {
      pair = ${first ? 'vec2u(wordAt(i), i)' : 'source[i]'};
      digit = digitOf(pair, args.byte);
      atomicOr(&lanes[(lane / 32u) * ${ORDER_GROUP}u + digit], bit);
    }
    workgroupBarrier();
    var before = 0u;
    var count = 0u;
    if (inside) {
      for (var w = 0u; w < ${words}u; w++) {
        let word = atomicLoad(&lanes[w * ${ORDER_GROUP}u + digit]);
        count += countOneBits(word);
        before += countOneBits(select(select(0u, word & (bit - 1u), w == lane / 32u), word, w < lane / 32u));
      }
      let place = places[digit] + before;
      sorted[place] = ${last ? 'pair.y' : 'pair'};
      ${last ? '' : `atomicAdd(&counts[((args.byte + 1u) * args.tiles + place / args.tile) * ${ORDER_GROUP}u + digitOf(pair, args.byte + 1u)], 1u);`}
    }
    workgroupBarrier();
    if (inside && before == 0u) {
      places[digit] += count;
      for (var w = 0u; w < ${words}u; w++) { atomicStore(&lanes[w * ${ORDER_GROUP}u + digit], 0u); }
    }
    workgroupBarrier();
  }
}`.trim();
}

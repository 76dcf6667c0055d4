// The WGSL of dispatchClaims. Who launches what, and the plan of it all, is in dispatch.ts.
import type { DispatchPath } from '@xmoe/core';
import { BOUND_WGSL, FLOAT_WORDS_WGSL, IS_BEFORE_WGSL, ORDER_GROUP, RUN, SORT_PAIRS_WGSL, SUM_BEFORE_WGSL } from './order-wgsl.js';

/** What the claims of an expert are ordered by. */
export type ClaimOrder = 'claim' | 'rank' | 'score';

const MAIN = `
@compute @workgroup_size(${ORDER_GROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let index = group.y * groups.x + group.x;`.trim();

/** Keys of 64 bits: rank, score (the larger first), token, from the top. */
const PACK_WGSL = `
fn pack(rank: u32, word: u32, token: u32) -> vec2u {
  if (args.rankBits == 0u) { return vec2u(word, token); }
  let low = 32u - args.rankBits;
  return vec2u((rank << low) | (word >> args.rankBits), (word << low) | (token & ((1u << low) - 1u)));
}`.trim();

/** `keyOf(claim)`. */
function keyWgsl(by: ClaimOrder): string {
  if (by === 'claim') return 'fn keyOf(claim: u32) -> vec2u { return vec2u(0, claim); }';
  const word = by === 'score' ? 'descending(scores[claim])' : '0u';
  return `
${by === 'score' ? FLOAT_WORDS_WGSL : ''}
${PACK_WGSL}
fn keyOf(claim: u32) -> vec2u { return pack(claim % args.choices, ${word}, claim / args.choices); }`.trim();
}

/** `claimOf(key)`. */
function claimWgsl(by: ClaimOrder): string {
  if (by === 'claim') return 'fn claimOf(key: vec2u) -> u32 { return key.y; }';
  return `
fn claimOf(key: vec2u) -> u32 {
  if (args.rankBits == 0u) { return key.y * args.choices; }
  let low = 32u - args.rankBits;
  return (key.y & ((1u << low) - 1u)) * args.choices + (key.x >> low);
}`.trim();
}

interface PartitionOptions {
  readonly by: ClaimOrder;
  /** Also count the claims of each rank. */
  readonly ranked: boolean;
  /** Counters in workgroup memory; null: in the tables. */
  readonly shared: number | null;
}

/**
 * keys: the used claims of each tile, by expert, in no order within; ends [tiles, experts]: where the expert's end within the tile;
 * ranks [tiles, choices]: used claims of each rank; claimRow: −1.
 */
export function partitionWgsl({ by, ranked, shared }: PartitionOptions): string {
  const expert = (id: string): string => (shared === null ? `ends[index * args.experts + ${id}]` : `counters[${id}]`);
  const rank = (j: string): string => (shared === null ? `ranks[index * args.choices + ${j}]` : `counters[args.experts + ${j}]`);
  const loop = (count: string, body: string): string => `for (var i = lane; i < ${count}; i += ${ORDER_GROUP}u) { ${body} }`;
  const clear = (at: string): string => `atomicStore(&${at}, 0u);`;
  return `
${keyWgsl(by)}
${SUM_BEFORE_WGSL}
${shared === null ? '' : `var<workgroup> counters: array<atomic<u32>, ${shared}>;`}
fn isUsed(id: i32) -> bool { return id >= 0 && id < i32(args.known); }
${MAIN}
  let begin = index * args.tile;
  let end = min(args.claims, begin + args.tile);
  ${shared === null ? loop('args.experts', clear(expert('i'))) + (ranked ? loop('args.choices', clear(rank('i'))) : '') : ''}
  storageBarrier();
  for (var claim = begin + lane; claim < end; claim += ${ORDER_GROUP}u) {
    let id = ids[claim];
    claimRow[claim] = -1;
    if (isUsed(id)) {
      atomicAdd(&${expert('u32(id)')}, 1u);
      ${ranked ? `atomicAdd(&${rank('claim % args.choices')}, 1u);` : ''}
    }
  }
  workgroupBarrier();
  storageBarrier();
  // Counts become the places where the experts begin within the tile.
  var before = 0u;
  for (var first = 0u; first < args.experts; first += ${ORDER_GROUP}u) {
    let id = first + lane;
    var count = 0u;
    if (id < args.experts) { count = atomicLoad(&${expert('id')}); }
    let place = before + sumBefore(count, lane);
    if (id < args.experts) {
      atomicStore(&${expert('id')}, place);
      ${shared === null ? '' : 'ends[index * args.experts + id] = place + count;'}
    }
    before += workgroupUniformLoad(&sumOfAll);
  }
  ${ranked && shared !== null ? loop('args.choices', `ranks[index * args.choices + i] = atomicLoad(&${rank('i')});`) : ''}
  workgroupBarrier();
  storageBarrier();
  // When all have their place, each expert's next one is its end.
  for (var claim = begin + lane; claim < end; claim += ${ORDER_GROUP}u) {
    let id = ids[claim];
    if (isUsed(id)) { keys[begin + atomicAdd(&${expert('u32(id)')}, 1u)] = keyOf(claim); }
  }
}`.trim();
}

/**
 * sorted: the keys by expert, each expert's in sorted runs; plan: where each expert's begin, the end of the last one's; wanted.
 * With \`cutBy\` two more words of the plan: the first key that is beyond the budget.
 */
export function orderWgsl(cutBy: ClaimOrder | null): string {
  return `
${IS_BEFORE_WGSL}
${SUM_BEFORE_WGSL}
${SORT_PAIRS_WGSL}
var<workgroup> tileFirst: array<u32, ${ORDER_GROUP}>;
var<workgroup> tileBegin: array<u32, ${ORDER_GROUP}>;
var<workgroup> startOfExpert: atomic<u32>;
${cutBy ? cutWgsl(cutBy) : ''}
// The expert's claim number i, as the tiles hold them.
fn gathered(i: u32) -> vec2u {
  var low = 0u;
  var high = args.tiles;
  while (high - low > 1u) {
    let middle = (low + high) / 2u;
    if (tileFirst[middle] <= i) { low = middle; } else { high = middle; }
  }
  return keys[low * args.tile + tileBegin[low] + i - tileFirst[low]];
}
${MAIN}
  if (index >= args.experts * args.workers) {
    ${cutBy ? 'if (index == args.experts * args.workers) { findCut(lane); }' : ''}
    return;
  }
  let expert = index / args.workers;
  let worker = index % args.workers;
  var begin = 0u;
  var count = 0u;
  if (lane < args.tiles) {
    let at = lane * args.experts + expert;
    if (expert > 0u) { begin = ends[at - 1u]; }
    count = ends[at] - begin;
  }
  tileBegin[lane] = begin;
  tileFirst[lane] = sumBefore(count, lane);
  let claims = workgroupUniformLoad(&sumOfAll);
  atomicAdd(&startOfExpert, begin);
  workgroupBarrier();
  let start = atomicLoad(&startOfExpert);
  if (lane == 0u && worker == 0u) {
    plan[expert] = start;
    wanted[expert] = i32(claims);
    if (expert == args.experts - 1u) { plan[args.experts] = start + claims; }
  }
  for (var first = worker * ${RUN}u; first < claims; first += args.workers * ${RUN}u) {
    let size = min(${RUN}u, claims - first);
    for (var i = lane; i < size; i += ${ORDER_GROUP}u) { pairs[i] = gathered(first + i); }
    sortPairs(size, lane);
    for (var i = lane; i < size; i += ${ORDER_GROUP}u) { sorted[start + first + i] = pairs[i]; }
    workgroupBarrier();
  }
}`.trim();
}

/** Counting by rank finds the rank that the budget ends in; only its scores are looked at. */
function cutWgsl(by: ClaimOrder): string {
  return `
${by === 'score' ? FLOAT_WORDS_WGSL : ''}
${PACK_WGSL}
var<private> lastRank: u32;
var<workgroup> last: vec3u;
fn candidate(token: u32) -> vec3u {
  let claim = token * args.choices + lastRank;
  let id = ids[claim];
  return vec3u(${by === 'score' ? 'descending(scores[claim])' : '0u'}, token, select(0u, 1u, id >= 0 && id < i32(args.known)));
}
${BOUND_WGSL}
fn findCut(lane: u32) {
  var before = 0u;
  for (var first = 0u; first < args.choices; first += ${ORDER_GROUP}u) {
    let rank = first + lane;
    var count = 0u;
    if (rank < args.choices) {
      for (var tile = 0u; tile < args.tiles; tile++) { count += ranks[tile * args.choices + rank]; }
    }
    let earlier = before + sumBefore(count, lane);
    if (earlier < args.rows && args.rows <= earlier + count) { last = vec3u(rank, args.rows - earlier, count); }
    before += workgroupUniformLoad(&sumOfAll);
  }
  let found = workgroupUniformLoad(&last);
  var cut = select(vec2u(0xffffffffu), vec2u(0), args.rows == 0u);
  if (found.z > 0u) {
    lastRank = found.x;
    var bound = vec2u(0xffffffffu);
    if (found.y < found.z) { bound = boundOf(found.y, args.tokens, args.tokenBits, lane); }
    cut = pack(lastRank, bound.x, bound.y);
    if (cut.y < 0xffffffffu) { cut.y++; } else if (cut.x < 0xffffffffu) { cut = vec2u(cut.x + 1u, 0u); }
  }
  if (lane == 0u) {
    plan[args.experts + 1u] = cut.x;
    plan[args.experts + 2u] = cut.y;
  }
}`.trim();
}

/** Rows, their inverse, offsets and loads. */
export function placeWgsl(dispatch: DispatchPath, by: ClaimOrder): string {
  const padded = dispatch === 'padded';
  return `
${IS_BEFORE_WGSL}
${claimWgsl(by)}
// How many of the sorted keys begin … begin + count are before the key.
fn countBefore(begin: u32, count: u32, key: vec2u) -> u32 {
  var low = 0u;
  var high = count;
  while (low < high) {
    let middle = (low + high) / 2u;
    if (isBefore(sorted[begin + middle], key)) { low = middle + 1u; } else { high = middle; }
  }
  return low;
}
fn setRow(row: u32, claim: i32, token: i32) {
  rowClaim[row] = claim;
  rowToken[row] = token;
}
${dispatch === 'budget' ? BUDGET_LOAD_WGSL : ''}
${MAIN}
  if (index >= args.experts * args.workers) { return; }
  let expert = index / args.workers;
  let first = (index % args.workers) * ${ORDER_GROUP}u + lane;
  let begin = plan[expert];
  let claims = plan[expert + 1u] - begin;
  ${FIRST_ROW[dispatch]}
  if (first == 0u) {
    offsets[expert] = i32(offset);
    load[expert] = i32(kept);
    if (expert == args.experts - 1u) { offsets[args.experts] = i32(offset + ${padded ? 'args.capacity' : 'kept'}); }
  }
  for (var i = first; i < claims; i += args.workers * ${ORDER_GROUP}u) {
    var place = i % ${RUN}u;
    if (place >= kept) { continue; }
    let key = sorted[begin + i];
    for (var run = 0u; run < claims && place < kept; run += ${RUN}u) {
      if (run / ${RUN}u != i / ${RUN}u) { place += countBefore(begin + run, min(${RUN}u, claims - run), key); }
    }
    if (place >= kept || offset + place >= args.rows) { continue; }
    let claim = claimOf(key);
    setRow(offset + place, i32(claim), i32(claim / args.choices));
    claimRow[claim] = i32(offset + place);
  }
  ${padded ? `
  // The empty slots of the expert, and what is left when the rows are no multiple of the experts.
  let end = select(args.capacity, args.rows - offset, expert == args.experts - 1u);
  for (var i = kept + first; i < end; i += args.workers * ${ORDER_GROUP}u) { setRow(offset + i, -1, -1); }` : `
  let step = args.experts * args.workers * ${ORDER_GROUP}u;
  for (var row = min(args.rows, plan[args.experts]) + index * ${ORDER_GROUP}u + lane; row < args.rows; row += step) { setRow(row, -1, -1); }`}
}`.trim();
}

/** `offset`, the expert's first row, and \`kept\`, how many of its claims have one. */
const FIRST_ROW: Readonly<Record<DispatchPath, string>> = {
  padded: 'let offset = expert * args.capacity;\n  let kept = min(claims, args.capacity);',
  grouped: 'let offset = begin;\n  let kept = claims;',
  budget: `
  var earlier = 0u;
  for (var other = lane; other < expert; other += ${ORDER_GROUP}u) { earlier += withinBudget(other); }
  atomicAdd(&firstRow, earlier);
  if (lane == 0u) { own = withinBudget(expert); }
  workgroupBarrier();
  let offset = atomicLoad(&firstRow);
  let kept = own;`.trim(),
};

/** What is kept is a beginning of the order by priority, so also a beginning of each expert's. */
const BUDGET_LOAD_WGSL = `
var<workgroup> firstRow: atomic<u32>;
var<workgroup> own: u32;
fn withinBudget(expert: u32) -> u32 {
  let begin = plan[expert];
  let claims = plan[expert + 1u] - begin;
  let cut = vec2u(plan[args.experts + 1u], plan[args.experts + 2u]);
  var kept = 0u;
  for (var run = 0u; run < claims; run += ${RUN}u) { kept += countBefore(begin + run, min(${RUN}u, claims - run), cut); }
  return kept;
}`.trim();

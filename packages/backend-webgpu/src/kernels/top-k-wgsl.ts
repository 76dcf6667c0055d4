// The WGSL of topK and thresholdSelect. Who launches what is in top-k.ts.
import { MASS_ONE, SOFTMAX_SLACK } from '@xmoe/core/backend';
import { BOUND_WGSL, FLOAT_WORDS_WGSL, IS_BEFORE_WGSL, ORDER_GROUP, SORT_PAIRS_WGSL, SUM_BEFORE_WGSL } from './order-wgsl.js';

const MAIN = `
@compute @workgroup_size(${ORDER_GROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {`.trim();

export type ThresholdSource = 'argument' | 'buffer';

interface RankOptions {
  /** Lanes per row, a power of two of at least the columns. */
  readonly lanes: number;
  /** The float32 bits of x at (row, column). */
  readonly bits: string;
  readonly valueType: string;
  /** XMoE, Algorithm 1: only what the threshold takes, with counts. The threshold is an argument, or in a buffer. */
  readonly threshold: ThresholdSource | null;
  readonly masked: boolean;
}

/** The place of a number in its row is how many come before it. Reads of one word by all lanes of a row are one read. */
export function rankWgsl({ lanes, bits, valueType, threshold, masked }: RankOptions): string {
  const rows = ORDER_GROUP / lanes;
  return `
${FLOAT_WORDS_WGSL}
var<workgroup> words: array<u32, ${ORDER_GROUP}>;
${threshold ? SORTED_WGSL : ''}
${MAIN}
  let slot = lane / ${lanes}u;
  let column = lane % ${lanes}u;
  let begin = lane - column;
  let row = (group.y * groups.x + group.x) * ${rows}u + slot;
  let inside = row < args.rows && column < args.columns;
  var bits = 0u;
  var word = 0xffffffffu;
  if (inside) {
    bits = ${bits};
    word = descending(bits);
  }
  words[lane] = word;
  workgroupBarrier();
  var place = 0u;
  for (var other = 0u; other < args.columns; other++) {
    let theirs = words[begin + other];
    place += select(0u, 1u, theirs < word || (theirs == word && other < column));
  }
  ${threshold ? takeByThreshold(rows, masked, threshold) : `
  if (inside && place < args.choices) {
    let at = row * args.choices + place;
    values[at] = ${valueType}(bitcast<f32>(bits));
    indices[at] = i32(column);
  }`.trim()}
}`.trim();
}

/** `unitsOf(v)`: a probability in units of 2^-30, as \`massOf\` of core; by its bits, of which NaN and numbers below 0 have the largest. */
const UNITS_WGSL = `
fn unitsOf(v: f32) -> i32 {
  let bits = bitcast<u32>(v);
  return select(select(0, 1073741824, bits <= 0x7f800000u), i32(min(v, 1.0) * 1073741824.0), bits < 0x3f800000u);
}`.trim();

const SORTED_WGSL = `
${UNITS_WGSL}
var<workgroup> sorted: array<f32, ${ORDER_GROUP}>;
var<workgroup> ids: array<u32, ${ORDER_GROUP}>;
var<workgroup> taken: array<u32, ${ORDER_GROUP}>;`.trim();

/** Sets `limit` to the units of mass to reach, as `massToReach` of core, and `all` to whether everything is taken. t·2^30 is exact, and so is its fraction. */
function limitWgsl(source: ThresholdSource): string {
  if (source === 'argument') return 'let limit = args.limit; let all = args.all != 0u;';
  const slack = SOFTMAX_SLACK * MASS_ONE;
  return `
    let t = threshold[0];
    let all = t >= 1.0;
    let units = clamp(t, 0.0, 1.0) * ${MASS_ONE}.0;
    let limit = i32(units) + select(0, 1, units - floor(units) > ${slack - Math.floor(slack)}) - ${Math.floor(slack)} - i32(args.columns);`.trim();
}

/** Sets `count` to how many of a descending row the threshold takes. */
function addUp(value: (place: string) => string, source: ThresholdSource): string {
  return `
    ${limitWgsl(source)}
    var count = args.choices;
    if (!all) {
      var mass = 0;
      count = 0u;
      while (count < args.choices) {
        mass += unitsOf(${value('count')});
        count++;
        if (mass >= limit) { break; }
      }
    }`.trim();
}

/** One lane per row adds up; then neighbouring lanes store neighbouring choices. */
function takeByThreshold(rows: number, masked: boolean, source: ThresholdSource): string {
  return `
  if (inside) {
    sorted[begin + place] = bitcast<f32>(bits);
    ids[begin + place] = column;
  }
  workgroupBarrier();
  if (inside && column == 0u) {
    ${addUp((place) => `sorted[begin + ${place}]`, source)}
    ${masked ? 'if (mask[args.first + row] == 0u) { count = 0u; }' : ''}
    counts[args.first + row] = i32(count);
    taken[slot] = count;
  }
  workgroupBarrier();
  let block = (group.y * groups.x + group.x) * ${rows}u;
  let size = min(${rows}u, args.rows - min(args.rows, block)) * args.choices;
  for (var i = lane; i < size; i += ${ORDER_GROUP}u) {
    let token = i / args.choices;
    let choice = i % args.choices;
    let source = token * ${ORDER_GROUP / rows}u + choice;
    let takes = choice < taken[token];
    values[block * args.choices + i] = select(0.0, sorted[source], takes);
    indices[block * args.choices + i] = select(-1, i32(ids[source]), takes);
  }`.trim();
}

interface SelectOptions {
  /** The float32 bits of x at (row, i). */
  readonly bits: string;
  /** x at (row, index), as the type of the values. */
  readonly value: string;
}

/** Finds the bound of the k best, gathers what is within it in any order, and sorts that. */
export function selectWgsl({ bits, value }: SelectOptions): string {
  return `
${FLOAT_WORDS_WGSL}
${IS_BEFORE_WGSL}
${SUM_BEFORE_WGSL}
${SORT_PAIRS_WGSL}
var<private> row: u32;
var<workgroup> gathered: atomic<u32>;
fn candidate(i: u32) -> vec3u { return vec3u(descending(${bits}), i, 1u); }
${BOUND_WGSL}
${MAIN}
  let index = group.y * groups.x + group.x;
  if (index >= args.rows) { return; }
  row = index;
  let bound = boundOf(args.choices, args.columns, args.indexBits, lane);
  for (var i = lane; i < args.columns; i += ${ORDER_GROUP}u) {
    let pair = candidate(i).xy;
    if (!isBefore(bound, pair)) { pairs[atomicAdd(&gathered, 1u)] = pair; }
  }
  sortPairs(args.choices, lane);
  for (var i = lane; i < args.choices; i += ${ORDER_GROUP}u) {
    let index = pairs[i].y;
    values[row * args.choices + i] = ${value};
    indices[row * args.choices + i] = i32(index);
  }
}`.trim();
}

/** perElement over [rows, choices]: the first of each row of what is sorted by row. `value`: x at `source`. */
export const pickSortedWgsl = (value: string): string => `
fn element(i: u32) {
  let at = args.start + i;
  let row = at / args.choices;
  let source = u32(sorted[row * args.columns + at % args.choices]);
  values[i] = ${value};
  indices[i] = i32(source - row * args.columns);
}`.trim();

/** A workgroup per token: how many of its sorted values the threshold takes; the rest become 0 and −1. */
export function cutWgsl(masked: boolean, source: ThresholdSource): string {
  return `
${UNITS_WGSL}
var<workgroup> taken: u32;
${MAIN}
  let row = group.y * groups.x + group.x;
  if (row >= args.rows) { return; }
  let begin = row * args.choices;
  if (lane == 0u) {
    ${addUp((place) => `values[begin + ${place}]`, source)}
    ${masked ? 'if (mask[row] == 0u) { count = 0u; }' : ''}
    counts[row] = i32(count);
    taken = count;
  }
  let count = workgroupUniformLoad(&taken);
  for (var i = count + lane; i < args.choices; i += ${ORDER_GROUP}u) {
    values[begin + i] = 0.0;
    indices[begin + i] = -1;
  }
}`.trim();
}

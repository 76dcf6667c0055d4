// WGSL that row kernels are put together from: the entry point, walks over a row's share, reductions within the lanes of a row.
import { ROW_GROUP, type RowPlan } from './rows.js';

/** Partial results that one lane adds up; two rounds of this many are enough for 256 lanes. */
const RADIX = 16;

/** The lowest float: the maximum of nothing. Shaders need not know infinities. */
export const LOWEST = '-3.4028234e38';

/**
 * A kernel whose `body` runs once per lane, with `row` (within the window), `rowAt` (within the whole), `begin` (the index of the
 * row's first unit), `place` (the lane's place among those of its row), `lane`, and `live`: whether the row exists. Lanes of
 * rows that do not exist compute the last row and must not store.
 */
export function rowMain({ F, lanes, held }: RowPlan, body: string): string {
  return `
alias V = ${F};
const LANES = ${lanes}u;
const HELD = ${Math.max(1, held)}u;
fn sumOf(v: V) -> f32 { return ${F === 'f32' ? 'v' : 'v.x + v.y + v.z + v.w'}; }
fn maxOf(v: V) -> f32 { return ${F === 'f32' ? 'v' : 'max(max(v.x, v.y), max(v.z, v.w))'}; }
@compute @workgroup_size(${ROW_GROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let wanted = (group.y * groups.x + group.x) * ${ROW_GROUP / lanes}u + lane / LANES;
  let live = wanted < args.rows;
  let row = min(wanted, args.rows - 1u);
  let rowAt = args.first + row;
  let begin = row * args.units;
  let place = lane % LANES;
${body.trim()}
}`.trim();
}

/** Runs `body` for every unit `u` of the lane's share of the row; \`s\` counts them where they are held in registers. */
export function eachUnit({ held }: RowPlan, body: string): string {
  return held > 0
    ? `for (var s = 0u; s < HELD; s++) { let u = place + s * LANES; if (u < args.units) { ${body} } }`
    : `for (var u = place; u < args.units; u += LANES) { ${body} }`;
}

/** A row of a buffer as the walks see it: read once and kept in registers, or read again by each walk. */
export interface HeldRow {
  /** Before the first walk. */
  readonly declare: string;
  /** In the first walk, before `value`. */
  readonly load: string;
  /** The unit of this step. */
  readonly value: string;
}

export function holdRow({ held }: RowPlan, name: string): HeldRow {
  const read = `V(${name}[begin + u])`;
  return held > 0
    ? { declare: `var ${name}Held: array<V, HELD>;`, load: `${name}Held[s] = ${read};`, value: `${name}Held[s]` }
    : { declare: '', load: '', value: read };
}

/**
 * \`name(lane, value)\`: the values of the lanes of a row combined, in a fixed order, the same for all of them. Every lane of the
 * workgroup must call it. \`combine\` says how two become one.
 */
export function rowReduction({ lanes }: RowPlan, name: string, type: 'f32' | 'vec2f' | 'vec4f', combine: (a: string, b: string) => string): string {
  const head = `fn ${name}(lane: u32, value: ${type}) -> ${type}`;
  if (lanes === 1) return `${head} { return value; }`;
  const first = Math.min(lanes, RADIX);
  const second = lanes / first;
  return `
var<workgroup> ${name}Parts: array<${type}, ${ROW_GROUP}>;
var<workgroup> ${name}Sums: array<${type}, ${ROW_GROUP / first}>;
${head} {
  ${name}Parts[lane] = value;
  workgroupBarrier();
  let place = lane % ${lanes}u;
  let rowSlot = lane / ${lanes}u;
  if (place < ${second}u) {
    var part = ${name}Parts[lane];
    for (var i = 1u; i < ${first}u; i++) { part = ${combine('part', `${name}Parts[lane + i * ${second}u]`)}; }
    ${name}Sums[rowSlot * ${second}u + place] = part;
  }
  workgroupBarrier();
  var result = ${name}Sums[rowSlot * ${second}u];
  for (var i = 1u; i < ${second}u; i++) { result = ${combine('result', `${name}Sums[rowSlot * ${second}u + i]`)}; }
  return result;
}`.trim();
}

export function rowSum(plan: RowPlan, name = 'rowSum', type: 'f32' | 'vec2f' = 'f32'): string {
  return rowReduction(plan, name, type, (a, b) => `${a} + ${b}`);
}

/** The largest of each component; of a vec2f the second may be a flag. */
export function rowMax(plan: RowPlan, type: 'f32' | 'vec2f' = 'f32'): string {
  return rowReduction(plan, 'rowMax', type, (a, b) => `max(${a}, ${b})`);
}

/**
 * \`spoils(v)\`: 1 where v holds a NaN or +∞, else 0, by its bits. \`notANumber()\`: a NaN. A row with a spoilt element has no softmax;
 * what arithmetic makes of it is not relied on.
 */
export function spoilsWgsl({ F }: RowPlan): string {
  const U = F === 'f32' ? 'u32' : 'vec4<u32>';
  return `
fn spoils(v: ${F}) -> f32 {
  let bits = bitcast<${U}>(v);
  let spoilt = ((bits & ${U}(0x7fffffffu)) >= ${U}(0x7f800000u)) & (bits != ${U}(0xff800000u));
  return select(0.0, 1.0, ${F === 'f32' ? 'spoilt' : 'any(spoilt)'});
}
fn notANumber() -> f32 { return bitcast<f32>(0x7fc00000u | (args.rows & 0u)); } // not a constant: it would be refused`.trim();
}

// WGSL of the reductions: along rows (the reduced elements are neighbours) and down columns. One workgroup reduces one chunk of
// several rows, or of a tile of columns, through a tree in workgroup memory: the order depends on the shape alone.
import type { ReduceOp } from '@xmoe/core';
import type { ProgramSpec } from '../runtime/program.js';
import { extremeWgsl, isNanWgsl } from './math-wgsl.js';

export interface ReduceVariant {
  readonly op: ReduceOp;
  /** Storage types. */
  readonly from: 'f32' | 'f16' | 'i32';
  readonly to: 'f32' | 'f16' | 'i32';
  /** Elements of one load. */
  readonly lanes: 1 | 4;
  /** Threads along the rows (of 256) or columns of a tile: a power of two. */
  readonly team: number;
}

export const REDUCE_GROUP = 256;

function combineWgsl(op: ReduceOp, type: string): string {
  if (op === 'sum') return `fn combine(a: ${type}, b: ${type}) -> ${type} { return a + b; }`;
  const integers = type.includes('i32');
  const [float, integer] = op === 'max' ? ['larger(a, b)', 'max(a, b)'] : ['smaller(a, b)', 'min(a, b)'];
  const F = type as 'f32' | 'vec4<f32>';
  const head = integers ? '' : `${isNanWgsl(F)}\n${extremeWgsl(F)}\n`;
  return `${head}fn combine(a: ${type}, b: ${type}) -> ${type} { return ${integers ? integer : float}; }`;
}

function head({ op, from, lanes }: ReduceVariant): { S: string; V: string; code: string } {
  const S = from === 'i32' ? 'i32' : 'f32';
  const V = lanes === 4 ? `vec4<${S}>` : S;
  return { S, V, code: `${combineWgsl(op, V)}\nvar<workgroup> partials: array<${V}, ${REDUCE_GROUP}>;` };
}

function bufferType(type: string, lanes: 1 | 4): string {
  return lanes === 4 ? `vec4<${type}>` : type;
}

/** [rows, units] → [rows, chunks]. A unit is `lanes` elements; team threads share a row. */
export function reduceRowsSpec(variant: ReduceVariant): ProgramSpec {
  const { op, from, to, lanes, team } = variant;
  const { S, V, code } = head(variant);
  // The last step folds a vec4 in the order of its elements.
  const four = op !== 'sum' ? 'combine(combine(V(v.x), V(v.y)), combine(V(v.z), V(v.w))).x' : '(v.x + v.y) + (v.z + v.w)';
  return {
    buffers: { x: { access: 'read', type: bufferType(from, lanes) }, out: { access: 'write', type: to } },
    args: { items: 'u32', units: 'u32', chunkUnits: 'u32', chunks: 'u32', identity: S === 'i32' ? 'i32' : 'f32' },
    code: `
alias V = ${V};
${code}
fn fold(v: V) -> ${S} { return ${lanes === 4 ? four : 'v'}; }

@compute @workgroup_size(${REDUCE_GROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let item = (group.y * groups.x + group.x) * ${REDUCE_GROUP / team} + lane / ${team};
  var sum = V(args.identity);
  if (item < args.items) {
    let row = item / args.chunks * args.units;
    let begin = item % args.chunks * args.chunkUnits;
    let end = min(begin + args.chunkUnits, args.units);
    for (var u = begin + lane % ${team}; u < end; u += ${team}) { sum = combine(sum, V(x[row + u])); }
  }
${treeWgsl(`lane % ${team}`, team / 2, 1)}
  if (item < args.items && lane % ${team} == 0) { out[item] = ${to}(fold(sum)); }
}`,
  };
}

/** [outer, size, units] → [outer, chunks, units]: team columns of units side by side, 256 / team rows at a time. */
export function reduceColumnsSpec(variant: ReduceVariant): ProgramSpec {
  const { from, to, lanes, team } = variant;
  const { S, V, code } = head(variant);
  const slots = REDUCE_GROUP / team;
  return {
    buffers: { x: { access: 'read', type: bufferType(from, lanes) }, out: { access: 'write', type: bufferType(to, lanes) } },
    args: { count: 'u32', tiles: 'u32', size: 'u32', units: 'u32', chunkRows: 'u32', chunks: 'u32', identity: S === 'i32' ? 'i32' : 'f32' },
    code: `
alias V = ${V};
${code}

@compute @workgroup_size(${REDUCE_GROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let index = group.y * groups.x + group.x;
  if (index >= args.count) { return; }
  let u = index % args.tiles * ${team} + lane % ${team};
  let item = index / args.tiles;
  let begin = item % args.chunks * args.chunkRows;
  let end = min(begin + args.chunkRows, args.size);
  let base = item / args.chunks * args.size;
  var sum = V(args.identity);
  if (u < args.units) {
    for (var row = begin + lane / ${team}; row < end; row += ${slots}) {
      sum = combine(sum, V(x[(base + row) * args.units + u]));
    }
  }
${treeWgsl(`lane / ${team}`, slots / 2, team)}
  if (lane < ${team} && u < args.units) { out[item * args.units + u] = ${bufferType(to, lanes)}(sum); }
}`,
  };
}

/** Combines \`sum\` of the threads whose \`place\` runs from 0 to 2·half − 1, \`stride\` threads apart, into that of place 0. */
function treeWgsl(place: string, half: number, stride: number): string {
  if (half < 1) return '';
  return `
  partials[lane] = sum;
  workgroupBarrier();
  for (var half = ${half}u; half > 0; half /= 2) {
    if (${place} < half) { sum = combine(sum, partials[lane + half * ${stride}]); partials[lane] = sum; }
    workgroupBarrier();
  }`;
}

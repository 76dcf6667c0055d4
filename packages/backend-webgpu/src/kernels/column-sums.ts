// Sums down the columns of a matrix, per segment of rows, in a fixed order: each workgroup adds a chunk of rows of a few columns and
// writes one partial sum per segment that it meets; a second kernel adds the partial sums of a segment in the order of the chunks.
// What is summed, and what is written on the way, is the caller's. Gradients of biases and of norms are such sums.
import { sizeOf, type Operand } from '@xmoe/core';
import { reads, wgslType, writes, type BufferSpec } from '../runtime/program.js';
import type { Runtime } from '../runtime/runtime.js';
import { planRows, ROW_GROUP, rowWindows, type RowPlan } from './rows.js';
import { SEGMENT_OF } from './segments-wgsl.js';

/** Units of a row that one workgroup covers, at most: the rest of its threads take other rows. */
const WIDEST_TILE = 32;
const CHUNK_ROWS = 64;
/** The second kernel adds at most so many partial sums per column of a segment. */
const MOST_CHUNKS = 128;

export interface ColumnSums {
  /** The primitive and what tells variants of the WGSL apart. */
  readonly name: string;
  readonly buffers: (plan: RowPlan) => Readonly<Record<string, BufferSpec>>;
  /** Functions that `visit` calls. */
  readonly helpers: (plan: RowPlan) => string;
  /**
   * WGSL for the unit `u` of a row: \`row\` within the window, \`at\` the index of the unit in the matrices, \`g\` the segment.
   * \`V\` is the type of a unit.
   */
  readonly visit: (plan: RowPlan) => string;
  /** What is added up, one WGSL expression per output, after `visit`. */
  readonly values: readonly string[];
  /** WGSL for a unit of a row that belongs to no segment. */
  readonly skip?: (plan: RowPlan) => string;
}

export interface ColumnSumOperands {
  /** Each [rows, …]: seen in windows where they are large. The first is [rows, columns]. */
  readonly rows: Readonly<Record<string, Operand>>;
  readonly whole: Readonly<Record<string, Operand>>;
  /** int32 [G + 1], or null for one segment of all rows. */
  readonly offsets: Operand | null;
  /** [G, columns] each. */
  readonly outs: readonly Operand[];
}

interface ColumnPlan {
  readonly rows: RowPlan;
  readonly columns: number;
  readonly tile: number;
  readonly chunkRows: number;
  readonly chunks: number;
  readonly segments: number;
}

function planColumns(matrix: Operand, offsets: Operand | null): ColumnPlan {
  const [rows, columns] = matrix.shape as [number, number];
  const plan = planRows(columns);
  const chunkRows = Math.max(CHUNK_ROWS, Math.ceil(rows / MOST_CHUNKS));
  return {
    rows: plan,
    columns,
    tile: Math.min(WIDEST_TILE, 2 ** Math.ceil(Math.log2(Math.max(1, plan.units)))),
    chunkRows,
    chunks: Math.ceil(rows / chunkRows),
    segments: offsets === null ? 1 : offsets.shape[0]! - 1,
  };
}

export function sumColumns(runtime: Runtime, sums: ColumnSums, operands: ColumnSumOperands): void {
  const { rows, whole, offsets, outs } = operands;
  const plan = planColumns(Object.values(rows)[0]!, offsets);
  const { units } = plan.rows;
  const count = outs.length;
  // Chunk c and segment g meet in slot c + g: along the rows at least one of the two grows from meeting to meeting.
  const slots = plan.chunks + plan.segments;
  const partial = runtime.scratch('float32', [slots, count, plan.columns]);
  const own = offsets === null ? { ...whole, partial } : { ...whole, offsets, partial };
  const program = runtime.program(`${sums.name} sums, ${plan.rows.F} × ${plan.tile}`, () => ({
    buffers: {
      ...sums.buffers(plan.rows),
      ...(offsets === null ? {} : { offsets: reads('i32') }),
      partial: writes(plan.rows.F === 'f32' ? 'f32' : 'vec4<f32>'),
    },
    args: { rows: 'u32', units: 'u32', first: 'u32', chunkRows: 'u32', tiles: 'u32', groups: 'u32', segments: 'u32' },
    code: partialCode(sums, plan, offsets !== null),
  }));
  const tiles = Math.ceil(units / plan.tile);
  for (const { first, rows: height, buffers } of rowWindows(runtime, rows, plan.chunkRows)) {
    const groups = Math.ceil(height / plan.chunkRows) * tiles;
    const args = { rows: height, units, first, chunkRows: plan.chunkRows, tiles, groups, segments: plan.segments };
    runtime.run(program, { ...buffers, ...own }, args, runtime.fold(groups));
  }
  addPartials(runtime, sums.name, plan, partial, offsets, outs);
}

function addPartials(runtime: Runtime, name: string, plan: ColumnPlan, partial: Operand, offsets: Operand | null, outs: readonly Operand[]): void {
  const dtypes = outs.map(({ dtype }) => dtype);
  const primitive = name.split(' ')[0]!;
  const program = runtime.program(`${primitive} total ${dtypes.join(' ')}${offsets === null ? '' : ' of segments'}`, () => ({
    buffers: {
      ...(offsets === null ? {} : { offsets: reads('i32') }),
      partial: reads('f32'),
      ...Object.fromEntries(outs.map(({ dtype }, index) => [`out${index}`, writes(dtype)])),
    },
    args: { length: 'u32', columns: 'u32', chunkRows: 'u32', chunks: 'u32' },
    code: totalCode(dtypes.map(wgslType), offsets !== null),
    perElement: true,
  }));
  const length = sizeOf(outs[0]!.shape);
  const buffers = Object.fromEntries(outs.map((out, index) => [`out${index}`, out]));
  const args = { length, columns: plan.columns, chunkRows: plan.chunkRows, chunks: plan.chunks };
  runtime.run(program, { ...buffers, partial, ...(offsets === null ? {} : { offsets }) }, args, runtime.fold(Math.ceil(length / ROW_GROUP)));
}

function partialCode({ helpers, visit, values, skip }: ColumnSums, { rows: plan, tile }: ColumnPlan, segmented: boolean): string {
  const slots = ROW_GROUP / tile;
  const count = values.length;
  const each = (list: (index: number) => string): string => values.map((_, index) => list(index)).join(' ');
  return `
alias V = ${plan.F};
const TILE = ${tile}u;
const SLOTS = ${slots}u;
${each((k) => `var<workgroup> sums${k}: array<V, ${ROW_GROUP}>;`)}
${helpers(plan)}
${segmented ? SEGMENT_OF : ''}
@compute @workgroup_size(${ROW_GROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let index = group.y * groups.x + group.x;
  if (index >= args.groups) { return; }
  let u = index % args.tiles * TILE + lane % TILE;
  let slot = lane / TILE;
  let chunk = args.first / args.chunkRows + index / args.tiles;
  var top = chunk * args.chunkRows;
  let end = min(top + args.chunkRows, args.first + args.rows);
  var g = ${segmented ? 'segmentOf(top)' : '0u'};
  while (top < end && g < args.segments) {
    let to = ${segmented ? 'min(end, u32(offsets[g + 1u]))' : 'end'};
    ${each((k) => `var sum${k} = V();`)}
    if (u < args.units) {
      for (var row = top - args.first + slot; row < to - args.first; row += SLOTS) {
        let at = row * args.units + u;
        ${visit(plan)}
        ${each((k) => `sum${k} += ${values[k]};`)}
      }
    }
    ${each((k) => `sums${k}[lane] = sum${k};`)}
    workgroupBarrier();
    for (var half = SLOTS / 2u; half > 0u; half /= 2u) {
      if (slot < half) { ${each((k) => `sums${k}[lane] += sums${k}[lane + half * TILE];`)} }
      workgroupBarrier();
    }
    if (slot == 0u && u < args.units) {
      let place = (chunk + g) * ${count}u * args.units + u;
      ${each((k) => `partial[place + ${k}u * args.units] = sums${k}[lane];`)}
    }
    workgroupBarrier();
    top = to;
    ${segmented ? 'g = segmentOf(top);' : 'g++;'}
  }
${skip && segmented ? `
  if (u < args.units) {
    for (var row = top - args.first + slot; row < end - args.first; row += SLOTS) { let at = row * args.units + u; ${skip(plan)} }
  }` : ''}
}`.trim();
}

function totalCode(types: readonly string[], segmented: boolean): string {
  const each = (list: (index: number) => string): string => types.map((_, index) => list(index)).join(' ');
  return `
fn element(i: u32) {
  let g = i / args.columns;
  let column = i % args.columns;
  var first = 0u;
  var end = args.chunks;
${segmented ? `
  let begin = u32(offsets[g]);
  let to = u32(offsets[g + 1u]);
  first = begin / args.chunkRows;
  end = select((to + args.chunkRows - 1u) / args.chunkRows, first, begin == to);` : ''}
  ${each((k) => `var sum${k} = 0.0;`)}
  for (var chunk = first; chunk < end; chunk++) {
    let place = (chunk + g) * ${types.length}u * args.columns + column;
    ${each((k) => `sum${k} += partial[place + ${k}u * args.columns];`)}
  }
  ${each((k) => `out${k}[i] = ${types[k]}(sum${k});`)}
}`.trim();
}

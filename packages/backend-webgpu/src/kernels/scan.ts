// Scans: cumsum, bincount. Short rows are summed by one thread each, left to right, so that the rounding is that of the contract;
// long rows in tiles, whose sums are scanned first.
import { sizeOf, type Kernels, type Operand } from '@xmoe/core';
import { reads, wgslType, writes, type ProgramSpec } from '../runtime/program.js';
import type { Runtime } from '../runtime/runtime.js';

/** Longest row of one thread. */
const SHORT_ROW = 1024;
/** Rows of a workgroup, and columns that pass through workgroup memory at a time. */
const ROWS = 64;
const COLUMNS = 32;
/** Elements of one thread, and of a workgroup, in the scan of long rows. */
const RUN = 8;
const TILE = 256 * RUN;
/** Bins that fit into workgroup memory. */
const FEW_BINS = 2048;

export function scanKernels(runtime: Runtime) {
  return {
    cumsum({ x }, { out }, { exclusive }) {
      const length = x.shape.at(-1)!;
      cumsum(runtime, x, out, { rows: length === 0 ? 0 : sizeOf(x.shape) / length, length, exclusive });
    },
    bincount({ x }, { out }) {
      const [length, bins] = [sizeOf(x.shape), sizeOf(out.shape)];
      const clear = runtime.program('bincount clear', () => ({
        buffers: { out: writes('u32') },
        args: { length: 'u32' },
        code: 'fn element(i: u32) { out[i] = 0; }',
        perElement: true,
      }));
      runtime.run(clear, { out }, { length: bins }, runtime.fold(Math.ceil(bins / 256)));
      const few = bins <= FEW_BINS;
      const program = runtime.program(`bincount ${few ? 'few' : 'many'}`, () => bincountSpec(few));
      // A workgroup takes enough elements to pay for its own bins.
      const share = few ? 256 * Math.max(4, Math.ceil(length / (256 * 512))) : 256;
      runtime.run(program, { x, out }, { length, bins, share }, bins === 0 ? [0] : runtime.fold(Math.ceil(length / share)));
    },
  } satisfies Partial<Kernels>;
}

interface RowsScan {
  readonly rows: number;
  readonly length: number;
  readonly exclusive: boolean;
}

function cumsum(runtime: Runtime, x: Operand, out: Operand, { rows, length, exclusive }: RowsScan): void {
  const type = wgslType(x.dtype);
  const variant = `${x.dtype}${exclusive ? ' exclusive' : ''}`;
  if (length <= SHORT_ROW) {
    const program = runtime.program(`cumsum short ${variant}`, () => shortSpec(type, exclusive));
    runtime.run(program, { x, out }, { rows, length }, runtime.fold(Math.ceil(rows / ROWS)));
    return;
  }
  const tiles = Math.ceil(length / TILE);
  const count = rows * tiles;
  const before = runtime.scratch(x.dtype, [rows, tiles]);
  if (tiles > 1) {
    const sums = runtime.scratch(x.dtype, [rows, tiles]);
    const program = runtime.program(`cumsum tile sums ${x.dtype}`, () => tileSpec(type, 'sums'));
    runtime.run(program, { x, out: sums }, { count, tiles, length }, runtime.fold(count));
    cumsum(runtime, sums, before, { rows, length: tiles, exclusive: true });
  }
  const program = runtime.program(`cumsum long ${variant}`, () => tileSpec(type, exclusive ? 'exclusive' : 'inclusive'));
  runtime.run(program, { x, before, out }, { count, tiles, length }, runtime.fold(count));
}

function shortSpec(type: string, exclusive: boolean): ProgramSpec {
  const step = exclusive ? 'tile[lane][column] = sum; sum += value;' : 'sum += value; tile[lane][column] = sum;';
  return {
    buffers: { x: { access: 'read', type }, out: { access: 'write', type } },
    args: { rows: 'u32', length: 'u32' },
    code: `
var<workgroup> tile: array<array<${type}, ${COLUMNS + 1}>, ${ROWS}>;

@compute @workgroup_size(${ROWS})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = (group.y * groups.x + group.x) * ${ROWS};
  if (first >= args.rows) { return; }
  let rows = min(${ROWS}u, args.rows - first);
  var sum = ${type}();
  for (var left = 0u; left < args.length; left += ${COLUMNS}) {
    let columns = min(${COLUMNS}u, args.length - left);
    for (var i = lane; i < rows * columns; i += ${ROWS}) {
      tile[i / columns][i % columns] = x[(first + i / columns) * args.length + left + i % columns];
    }
    workgroupBarrier();
    if (lane < rows) {
      for (var column = 0u; column < columns; column++) {
        let value = tile[lane][column];
        ${step}
      }
    }
    workgroupBarrier();
    for (var i = lane; i < rows * columns; i += ${ROWS}) {
      out[(first + i / columns) * args.length + left + i % columns] = tile[i / columns][i % columns];
    }
    workgroupBarrier();
  }
}`,
  };
}

/** One tile: its sum, or its elements summed on from what \`before\` says came before. */
function tileSpec(type: string, what: 'sums' | 'inclusive' | 'exclusive'): ProgramSpec {
  const write = what === 'exclusive' ? 'out[at] = sum; sum += values[k];' : 'sum += values[k]; out[at] = sum;';
  return {
    buffers: {
      x: { access: 'read', type },
      ...(what === 'sums' ? {} : { before: { access: 'read', type } as const }),
      out: { access: 'write', type },
    },
    args: { count: 'u32', tiles: 'u32', length: 'u32' },
    code: `
var<workgroup> runs: array<${type}, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let index = group.y * groups.x + group.x;
  if (index >= args.count) { return; }
  let row = index / args.tiles * args.length;
  let left = index % args.tiles * ${TILE} + lane * ${RUN};
  var values: array<${type}, ${RUN}>;
  var total = ${type}();
  for (var k = 0u; k < ${RUN}; k++) {
    if (left + k < args.length) { values[k] = x[row + left + k]; }
    total += values[k];
  }
  runs[lane] = total;
  workgroupBarrier();
  for (var reach = 1u; reach < 256; reach *= 2) {
    var other = ${type}();
    if (lane >= reach) { other = runs[lane - reach]; }
    workgroupBarrier();
    runs[lane] += other;
    workgroupBarrier();
  }
${what === 'sums' ? '  if (lane == 255) { out[index] = runs[255]; }' : `
  var sum = ${type}();
  if (args.tiles > 1) { sum = before[index]; }
  if (lane > 0) { sum += runs[lane - 1]; }
  for (var k = 0u; k < ${RUN}; k++) {
    let at = row + left + k;
    if (left + k < args.length) { ${write} }
  }`}
}`,
  };
}

function bincountSpec(few: boolean): ProgramSpec {
  return {
    buffers: { x: reads('i32'), out: writes('atomic<u32>') },
    args: { length: 'u32', bins: 'u32', share: 'u32' },
    code: `
${few ? `var<workgroup> own: array<atomic<u32>, ${FEW_BINS}>;` : ''}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = (group.y * groups.x + group.x) * args.share;
  if (first >= args.length) { return; }
${few ? `  for (var bin = lane; bin < args.bins; bin += 256) { atomicStore(&own[bin], 0); }
  workgroupBarrier();` : ''}
  for (var i = first + lane; i < min(first + args.share, args.length); i += 256) {
    let bin = u32(x[i]);
    if (bin < args.bins) { atomicAdd(&${few ? 'own' : 'out'}[bin], 1); }
  }
${few ? `  workgroupBarrier();
  for (var bin = lane; bin < args.bins; bin += 256) {
    let count = atomicLoad(&own[bin]);
    if (count > 0) { atomicAdd(&out[bin], count); }
  }` : ''}
}`,
  };
}

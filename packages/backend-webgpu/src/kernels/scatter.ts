// scatterAddRows without atomics on floats: the sources are sorted by target row, then summed in ascending order by chunks of the
// sorted list, so that a row with many sources is the work of many workgroups. Sums of rows that cross chunks are completed last.
import { sizeOf, type Kernels, type Operand } from '@xmoe/core';
import { reads, wgslType, writes, type BufferType, type ProgramSpec } from '../runtime/program.js';
import type { Binding, Runtime } from '../runtime/runtime.js';
import { bytesOf, sortWords } from './radix-sort.js';
import { fits, flat, rowsOfWindow, runStrided, storageType, windowOf } from './strided.js';

/** Sources of a chunk. */
const CHUNK = 32;
/** Threads of a workgroup: a power of two of them, at most all, along the columns, the others at other chunks. */
const GROUP = 64;

export function scatterKernel(runtime: Runtime) {
  return {
    scatterAddRows({ x, indices }, { out }) {
      scatterAddRows(runtime, x, indices, out);
    },
  } satisfies Partial<Kernels>;
}

function scatterAddRows(runtime: Runtime, x: Operand, indices: Operand, out: Operand): void {
  const [R, D] = out.shape as [number, number];
  const n = sizeOf(indices.shape);
  if (R * D === 0) return;
  // Rows without a source are zero.
  runStrided(runtime, {
    name: `scatterAddRows clear ${out.dtype}`, inputs: {}, out: flat(out), shape: [sizeOf(out.shape)],
    body: (lanes) => ({ value: `${storageType(out.dtype, lanes)}()` }),
  });
  const { bindingBytes } = runtime.traits;
  const most = fits(x, bindingBytes) ? n : rowsOfWindow(D, x.dtype, bindingBytes);
  for (let from = 0; from < n; from += most) addSources(runtime, { x, indices, out, from, count: Math.min(most, n - from), adds: n > most });
}

interface Sources {
  readonly x: Operand;
  readonly indices: Operand;
  readonly out: Operand;
  /** The sources from … from + count. */
  readonly from: number;
  readonly count: number;
  /** Adds to what out holds; else out holds zeros. */
  readonly adds: boolean;
}

function addSources(runtime: Runtime, { x, indices, out, from, count: n, adds }: Sources): void {
  const [R, D] = out.shape as [number, number];
  const { bindingBytes } = runtime.traits;
  const ids = windowOf(indices, from, n, bindingBytes);
  const { keys, order } = sortedSources(runtime, ids, n, R);
  const width = D % 4 === 0 ? 4 : 1;
  const types = typesOf(x, width);
  const units = D / width;
  const team = units >= GROUP ? GROUP : 2 ** Math.ceil(Math.log2(units));
  const chunks = Math.ceil(n / CHUNK);
  const partial = runtime.scratch(x.dtype === 'int32' ? 'int32' : 'float32', [chunks, 2, D]);
  const label = `${types.from} ${team}${adds ? ' adds' : ''}`;
  const sum = runtime.program(`scatterAddRows sum ${label}`, () => sumSpec(types, team, adds));
  const complete = runtime.program(`scatterAddRows complete ${label}`, () => completeSpec(types, team, adds));
  const tiles = Math.ceil(units / team);
  const items = tiles * Math.ceil(chunks / (GROUP / team));
  const source = windowOf(x, from * D, n * D, bindingBytes);
  const rows = fits(out, bindingBytes) ? R : rowsOfWindow(D, out.dtype, bindingBytes);
  for (let first = 0; first < R; first += rows) {
    const count = Math.min(rows, R - first);
    const target = windowOf(out, first * D, count * D, bindingBytes);
    const args = { n, R, units, tiles, items, chunks, first, rows: count, xAt: source.start / width, outAt: target.start / width };
    const buffers: Record<string, Binding> = { keys, order, partial, out: target.binding };
    runtime.run(sum, { ...buffers, x: source.binding }, args, runtime.fold(items));
    runtime.run(complete, buffers, args, runtime.fold(items));
  }
}

/** keys: the row of each source, R where it has none; order: the sources by row, ascending within. */
function sortedSources(runtime: Runtime, { binding, start }: { binding: Binding; start: number }, n: number, R: number): { keys: Operand; order: Operand } {
  const keys = runtime.scratch('int32', [n]);
  const order = runtime.scratch('int32', [n]);
  const program = runtime.program('scatterAddRows keys', () => ({
    buffers: { indices: reads('u32'), keys: writes('u32') },
    args: { length: 'u32', R: 'u32', at: 'u32' },
    code: 'fn element(i: u32) { keys[i] = min(indices[args.at + i], args.R); }',
    perElement: true,
  }));
  runtime.run(program, { indices: binding, keys }, { R, length: n, at: start }, runtime.fold(Math.ceil(n / 256)));
  sortWords(runtime, 'scatterAddRows sort', keys, order, { order: 'ascending', keyBytes: bytesOf(R) });
  return { keys, order };
}

interface ScatterTypes {
  /** Of x and out; V is what sums are kept in. */
  readonly from: BufferType;
  readonly V: BufferType;
}

function typesOf(x: Operand, width: 1 | 4): ScatterTypes {
  const [from, sum] = [wgslType(x.dtype), x.dtype === 'int32' ? 'i32' : 'f32'];
  return (width === 4 ? { from: `vec4<${from}>`, V: `vec4<${sum}>` } : { from, V: sum }) as ScatterTypes;
}

const ARGS = {
  n: 'u32', R: 'u32', units: 'u32', tiles: 'u32', items: 'u32', chunks: 'u32', first: 'u32', rows: 'u32',
  xAt: 'u32', outAt: 'u32',
} as const;

/** The chunk and the unit of a thread; `keyAt(e)`: the row of entry e of the sorted list, one beyond all at its end. */
function threadWgsl(team: number, body: string): string {
  return `
fn keyAt(e: u32) -> u32 {
  if (e >= args.n) { return 0xffffffffu; }
  return keys[order[e]];
}
@compute @workgroup_size(${GROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let item = group.y * groups.x + group.x;
  let chunk = item / args.tiles * ${GROUP / team} + lane / ${team};
  let unit = item % args.tiles * ${team} + lane % ${team};
  if (item >= args.items || chunk >= args.chunks || unit >= args.units) { return; }
  let begin = chunk * ${CHUNK};
  let end = min(begin + ${CHUNK}, args.n);
  ${body.trim()}
}`;
}

function putWgsl(from: string, V: string, adds: boolean): string {
  return `
fn put(row: u32, unit: u32, sum: ${V}) {
  if (row - args.first >= args.rows) { return; }
  let at = args.outAt + (row - args.first) * args.units + unit;
  out[at] = ${from}(${adds ? `${V}(out[at]) + ` : ''}sum);
}`;
}

/** partial [chunks, 2, D]: of a run of one row that began before the chunk its sum within, and of one that goes on after it. */
function sumSpec({ from, V }: ScatterTypes, team: number, adds: boolean): ProgramSpec {
  return {
    buffers: { keys: reads('u32'), order: reads('u32'), x: reads(from), partial: writes(V), out: writes(from) },
    args: ARGS,
    code: `
${putWgsl(from, V, adds)}
${threadWgsl(team, `
  var row = keyAt(begin);
  var open = begin > 0 && keyAt(begin - 1) == row;
  var sum = ${V}();
  for (var e = begin; e < end; e++) {
    let source = order[e];
    let next = keys[source];
    if (next != row) {
      if (open) { partial[chunk * 2 * args.units + unit] = sum; } else { put(row, unit, sum); }
      row = next;
      open = false;
      sum = ${V}();
    }
    if (row >= args.R) { return; }
    sum += ${V}(x[args.xAt + source * args.units + unit]);
  }
  let goesOn = keyAt(end) == row;
  if (open || goesOn) {
    partial[(chunk * 2 + select(1u, 0u, open)) * args.units + unit] = sum;
  } else {
    put(row, unit, sum);
  }`)}`,
  };
}

/** Of each run that begins in the chunk and goes on after it: the sum of its parts, in order. */
function completeSpec({ from, V }: ScatterTypes, team: number, adds: boolean): ProgramSpec {
  return {
    buffers: { keys: reads('u32'), order: reads('u32'), partial: writes(V), out: writes(from) },
    args: ARGS,
    code: `
${putWgsl(from, V, adds)}
${threadWgsl(team, `
  let row = keyAt(end - 1);
  if (row - args.first >= args.rows || keyAt(end) != row) { return; }
  if (keyAt(begin) == row && begin > 0 && keyAt(begin - 1) == row) { return; }
  // The first entry of another row.
  var low = end;
  var high = args.n;
  while (low < high) {
    let middle = (low + high) / 2;
    if (keyAt(middle) > row) { high = middle; } else { low = middle + 1; }
  }
  var sum = partial[(chunk * 2 + 1) * args.units + unit];
  let last = (low - 1) / ${CHUNK};
  for (var c = chunk + 1; c <= last; c++) { sum += partial[c * 2 * args.units + unit]; }
  put(row, unit, sum);`)}`,
  };
}

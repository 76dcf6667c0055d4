// Kernels that read or add at indices: gatherRows, takeAlongLast, addAlongLast. scatterAddRows is in scatter.ts. An index outside
// the axis (−1 by convention) reads zero and adds nothing.
import { sizeOf, type Kernels, type Operand } from '@xmoe/core';
import { reads, wgslType, writes, type BufferType } from '../runtime/program.js';
import type { Runtime } from '../runtime/runtime.js';
import { asBits } from './movement.js';
import { rowWindows } from './rows.js';
import { fits, rowsOfWindow, windowOf } from './strided.js';

export function indexingKernels(runtime: Runtime) {
  return {
    gatherRows({ x, indices }, { out }) {
      gatherRows(runtime, asBits(x), indices, asBits(out));
    },
    takeAlongLast({ x, indices }, { out }) {
      const type = wgslType(asBits(x).dtype) as BufferType;
      const program = runtime.program(`takeAlongLast ${type}`, () => ({
        buffers: { x: reads(type), indices: reads('i32'), out: writes(type) },
        args: { length: 'u32', taken: 'u32', columns: 'u32' },
        code: `
fn element(i: u32) {
  let column = u32(indices[i]);
  var value: ${type};
  if (column < args.columns) { value = x[i / args.taken * args.columns + column]; }
  out[i] = value;
}`,
        perElement: true,
      }));
      alongLast(runtime, program, { x: asBits(x), indices, out: asBits(out) }, out, { taken: out.shape[1]!, columns: x.shape[1]! });
    },
    addAlongLast({ x, indices }, { out }) {
      const type = wgslType(x.dtype);
      const sum = x.dtype === 'int32' ? 'i32' : 'f32';
      const program = runtime.program(`addAlongLast ${type}`, () => ({
        buffers: { x: reads(x.dtype), indices: reads('i32'), out: writes(x.dtype) },
        args: { length: 'u32', added: 'u32', columns: 'u32' },
        code: `
fn element(i: u32) {
  let begin = i / args.columns * args.added;
  let column = i32(i % args.columns);
  var sum = ${sum}();
  for (var j = begin; j < begin + args.added; j++) {
    if (indices[j] == column) { sum += ${sum}(x[j]); }
  }
  out[i] = ${type}(sum);
}`,
        perElement: true,
      }));
      alongLast(runtime, program, { x, indices, out }, out, { added: x.shape[1]!, columns: out.shape[1]! });
    },
  } satisfies Partial<Kernels>;
}

/** One thread per element of out, in windows of rows. */
function alongLast(
  runtime: Runtime, program: ReturnType<Runtime['program']>, operands: Readonly<Record<string, Operand>>, out: Operand, args: Readonly<Record<string, number>>,
): void {
  if (sizeOf(out.shape) === 0) return;
  for (const { rows, buffers } of rowWindows(runtime, operands)) {
    const length = rows * out.shape[1]!;
    runtime.run(program, buffers, { ...args, length }, runtime.fold(Math.ceil(length / 256)));
  }
}

/** In windows of out, and of x: rows of x that are not in the window are left to another, indices outside x to the first. */
function gatherRows(runtime: Runtime, x: Operand, indices: Operand, out: Operand): void {
  const [R, D] = x.shape as [number, number];
  const n = sizeOf(indices.shape);
  if (n * D === 0) return;
  const { bindingBytes } = runtime.traits;
  const lanes = D % 4 === 0 ? 4 : 1;
  const type = (lanes === 4 ? `vec4<${wgslType(x.dtype)}>` : wgslType(x.dtype)) as BufferType;
  const program = runtime.program(`gatherRows ${type}`, () => ({
    buffers: { x: reads(type), indices: reads('i32'), out: writes(type) },
    args: { length: 'u32', units: 'u32', R: 'u32', first: 'u32', rows: 'u32', xAt: 'u32', indicesAt: 'u32', outAt: 'u32' },
    code: `
fn element(i: u32) {
  let row = u32(indices[args.indicesAt + i / args.units]);
  let inside = row - args.first < args.rows;
  var value: ${type};
  if (inside) { value = x[args.xAt + (row - args.first) * args.units + i % args.units]; }
  if (inside || (row >= args.R && args.first == 0)) { out[args.outAt + i] = value; }
}`,
    perElement: true,
  }));
  const xRows = fits(x, bindingBytes) ? Math.max(1, R) : rowsOfWindow(D, x.dtype, bindingBytes);
  const outRows = fits(out, bindingBytes) ? n : Math.min(rowsOfWindow(D, out.dtype, bindingBytes), rowsOfWindow(1, 'int32', bindingBytes));
  for (let top = 0; top < n; top += outRows) {
    const count = Math.min(outRows, n - top);
    const target = windowOf(out, top * D, count * D, bindingBytes);
    const ids = windowOf(indices, top, count, bindingBytes);
    for (let first = 0; first < Math.max(1, R); first += xRows) {
      const rows = Math.min(xRows, R - first);
      const source = windowOf(x, first * D, rows * D, bindingBytes);
      const args = {
        length: (count * D) / lanes, units: D / lanes, R, first, rows,
        xAt: source.start / lanes, indicesAt: ids.start, outAt: target.start / lanes,
      };
      runtime.run(program, { x: source.binding, indices: ids.binding, out: target.binding }, args, runtime.fold(Math.ceil(args.length / 256)));
    }
  }
}

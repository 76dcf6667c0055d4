// Kernels that only move elements (of any dtype, bit for bit): transpose, slice, broadcast, concat. Transposition through tiles
// is in transpose-tile.ts.
import { sizeOf, type Kernels, type Operand } from '@xmoe/core';
import { stridesOf } from '@xmoe/core/backend';
import { ELEMENT_GROUP, wgslType, type BufferSpec, type ProgramSpec } from '../runtime/program.js';
import type { Runtime } from '../runtime/runtime.js';
import { dense, fits, repeated, runStrided, type View } from './strided.js';
import { transposeThroughTiles } from './transpose-tile.js';

/** The operand as plain bits: the dtypes of four bytes share their programs. */
export function asBits(operand: Operand): Operand {
  const { buffer, shape, dtype } = operand; // a Tensor's are getters, which spreading would lose
  return dtype === 'float16' ? operand : { buffer, shape, dtype: 'uint32' };
}

function copy(runtime: Runtime, name: string, x: View, out: View, shape: readonly number[]): void {
  runStrided(runtime, { name: `${name} ${x.operand.dtype}`, inputs: { x }, out, shape, body: () => ({ value: 'x_value' }) });
}

export function movementKernels(runtime: Runtime) {
  return {
    transpose({ x }, { out }, { permutation }) {
      const strides = stridesOf(x.shape);
      const source: View = { operand: asBits(x), start: 0, strides: permutation.map((axis) => strides[axis]!) };
      const target = dense(asBits(out));
      if (!transposeThroughTiles(runtime, source, target)) copy(runtime, 'transpose', source, target, out.shape);
    },
    slice({ x }, { out }, { begin }) {
      const strides = stridesOf(x.shape);
      const start = begin.reduce((sum, index, axis) => sum + index * strides[axis]!, 0);
      copy(runtime, 'slice', { operand: asBits(x), start, strides }, dense(asBits(out)), out.shape);
    },
    broadcast({ x }, { out }) {
      copy(runtime, 'broadcast', repeated(asBits(x)), dense(asBits(out)), out.shape);
    },
    concat({ parts }, { out }, { axis }) {
      concat(runtime, parts.filter(({ shape }) => !shape.includes(0)).map(asBits), asBits(out), axis);
    },
  } satisfies Partial<Kernels>;
}

/** Inputs of one launch: each has two arguments. */
const MOST_INPUTS = 15;

/** Several inputs per launch, each of [outer, width]; out [outer, W]. */
function concat(runtime: Runtime, inputs: readonly Operand[], out: Operand, axis: number): void {
  if (out.shape.includes(0)) return;
  const outer = sizeOf(out.shape.slice(0, axis));
  const outWidth = sizeOf(out.shape) / outer;
  const { bindingBytes, maxStorageBuffers } = runtime.traits;
  const bundle = fits(out, bindingBytes) ? Math.min(maxStorageBuffers - 1, MOST_INPUTS) : 1;
  let column = 0;
  for (let from = 0; from < inputs.length; ) {
    let count = 1;
    if (fits(inputs[from]!, bindingBytes)) {
      while (count < bundle && from + count < inputs.length && fits(inputs[from + count]!, bindingBytes)) count++;
    }
    const part = inputs.slice(from, from + count);
    const widths = part.map(({ shape }) => sizeOf(shape) / outer);
    if (count > 1) {
      concatBundle(runtime, part, widths, out, outer, outWidth, column);
    } else {
      const [width] = widths as [number];
      copy(runtime, 'concat', { operand: part[0]!, start: 0, strides: [width, 1] }, { operand: out, start: column, strides: [outWidth, 1] }, [outer, width]);
    }
    column += widths.reduce((sum, width) => sum + width, 0);
    from += count;
  }
}

function concatBundle(
  runtime: Runtime, inputs: readonly Operand[], widths: readonly number[], out: Operand, outer: number, outWidth: number, column: number,
): void {
  const lanes = [...widths, outWidth, column].every((width) => width % 4 === 0) ? 4 : 1;
  const type = lanes === 4 ? `vec4<${wgslType(out.dtype)}>` : wgslType(out.dtype);
  const program = runtime.program(`concat ${inputs.length} ${type}`, () => concatSpec(inputs.length, type));
  const args: Record<string, number> = { column: column / lanes, outWidth: outWidth / lanes };
  let end = 0;
  widths.forEach((width, index) => {
    end += width / lanes;
    args[`width${index}`] = width / lanes;
    args[`end${index}`] = end;
  });
  const length = outer * end;
  const buffers = Object.fromEntries(inputs.map((input, index) => [`x${index}`, input]));
  runtime.run(program, { ...buffers, out }, { ...args, width: end, length }, runtime.fold(Math.ceil(length / ELEMENT_GROUP)));
}

function concatSpec(count: number, type: string): ProgramSpec {
  const indices = Array.from({ length: count }, (_, index) => index);
  const buffers: Record<string, BufferSpec> = Object.fromEntries(indices.map((index) => [`x${index}`, { access: 'read', type }]));
  const branches = indices.map((index) =>
    `if (c < args.end${index}) { value = x${index}[row * args.width${index} + c - (args.end${index} - args.width${index})]; }`);
  return {
    buffers: { ...buffers, out: { access: 'write', type } },
    args: {
      length: 'u32', width: 'u32', column: 'u32', outWidth: 'u32',
      ...Object.fromEntries(indices.flatMap((index) => [[`width${index}`, 'u32'], [`end${index}`, 'u32']])),
    },
    code: `
fn element(i: u32) {
  let row = i / args.width;
  let c = i % args.width;
  var value: ${type};
  ${branches.join('\n  else ')}
  out[row * args.outWidth + args.column + c] = value;
}`,
    perElement: true,
  };
}

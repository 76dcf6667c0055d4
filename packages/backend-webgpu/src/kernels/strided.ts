// The engine of element-wise and movement kernels: out[…] = f(a[…], b[…], …) where each operand is walked by strides of its own.
// Axes that all operands walk alike are merged; four neighbours are one vec4 where all allow it; what exceeds the largest
// binding is cut into pieces. Not the kernels: they give `f`.
import { sizeOf, XMoEError, type DType, type Operand } from '@xmoe/core';
import { stridesOf } from '@xmoe/core/backend';
import { DEVICE_BYTES } from '../runtime/buffers.js';
import { ELEMENT_GROUP, wgslType, type BufferSpec, type ScalarType } from '../runtime/program.js';
import type { Binding, Runtime } from '../runtime/runtime.js';

/** Element (i₀, i₁, …) of the loop is element start + Σ i·stride of the operand. */
export interface View {
  readonly operand: Operand;
  readonly start: number;
  readonly strides: readonly number[];
}

/** The WGSL types that `f` computes with, one element or four of them. */
export interface Lanes {
  readonly lanes: 1 | 4;
  readonly F: 'f32' | 'vec4<f32>';
  readonly I: 'i32' | 'vec4<i32>';
  readonly U: 'u32' | 'vec4<u32>';
}

export interface StridedBody {
  /** Functions before the loop. */
  readonly head?: string;
  /** An expression of one element of `out`, or of four: `a_value` is that of the input a, in its storage type. `at`: the index in out, where `indexed`, and `atBeyond` what of it is beyond 32 bits. */
  readonly value: string;
}

export interface StridedKernel {
  /** As a program's name: the primitive and all that `body` depends on, except the lanes. */
  readonly name: string;
  readonly inputs: Readonly<Record<string, View>>;
  readonly out: View;
  readonly shape: readonly number[];
  /** Further arguments, seen as `args.name`. */
  readonly args?: Readonly<Record<string, { readonly type: ScalarType; readonly value: number }>>;
  /** Buffers that `body` reads as it likes, never cut. */
  readonly tables?: Readonly<Record<string, { readonly spec: BufferSpec; readonly operand: Operand }>>;
  /** `body` uses the index `at` of the element, or of the first of four; out is flat and dense: four lanes. */
  readonly indexed?: boolean;
  body(types: Lanes): StridedBody;
}

const LANES: Record<1 | 4, Lanes> = {
  1: { lanes: 1, F: 'f32', I: 'i32', U: 'u32' },
  4: { lanes: 4, F: 'vec4<f32>', I: 'vec4<i32>', U: 'vec4<u32>' },
};

/** Offsets of bindings are multiples of 256 bytes: of so many elements of any dtype. */
const ALIGNMENT = 128;
/** Pieces of one axis where not even one row of the rest fits. */
const MOST_PIECES = 4096;
/** Fields of `args` that strides may take. */
const MOST_FIELDS = 56;

/** The whole operand, contiguous, as the loop over its own shape. */
export function dense(operand: Operand): View {
  return { operand, start: 0, strides: stridesOf(operand.shape) };
}

/** The operand repeated along its axes of size 1. */
export function repeated(operand: Operand): View {
  const strides = stridesOf(operand.shape);
  return { operand, start: 0, strides: operand.shape.map((extent, axis) => (extent === 1 ? 0 : strides[axis]!)) };
}

/** An operand with one element, or as many as the flat loop. */
export function flat(operand: Operand): View {
  return { operand, start: 0, strides: [sizeOf(operand.shape) === 1 ? 0 : 1] };
}

/** How one element of `dtype`, or four, lie in storage. */
export function storageType(dtype: DType, { lanes }: Lanes): string {
  return lanes === 4 ? `vec4<${wgslType(dtype)}>` : wgslType(dtype);
}

/** Launches the loop, in as many pieces as bindings demand. Nothing happens where an axis is 0. */
export function runStrided(runtime: Runtime, kernel: StridedKernel): void {
  if (kernel.shape.includes(0)) return;
  const names = Object.keys(kernel.inputs);
  const merged = mergeAxes(kernel.shape, [...names.map((name) => kernel.inputs[name]!), kernel.out]);
  cut(merged.shape, merged.views, runtime.traits.bindingBytes, 0, (shape, views, first) => launch(runtime, kernel, names, shape, views, first));
}

/** Drops axes of size 1 and merges neighbours that every view walks as one. Always leaves an axis. */
export function mergeAxes(shape: readonly number[], views: readonly View[]): { shape: number[]; views: View[] } {
  const extents: number[] = [];
  const strides = views.map((): number[] => []);
  for (let axis = 0; axis < shape.length; axis++) {
    const extent = shape[axis]!;
    if (extent === 1) continue;
    const last = extents.length - 1;
    if (last >= 0 && views.every((view, index) => strides[index]![last] === view.strides[axis]! * extent)) {
      extents[last]! *= extent;
      views.forEach((view, index) => (strides[index]![last] = view.strides[axis]!));
    } else {
      extents.push(extent);
      views.forEach((view, index) => strides[index]!.push(view.strides[axis]!));
    }
  }
  if (extents.length === 0) {
    extents.push(1);
    strides.forEach((stride) => stride.push(1));
  }
  return { shape: extents, views: views.map(({ operand, start }, index) => ({ operand, start, strides: strides[index]! })) };
}

type Visit = (shape: readonly number[], views: readonly View[], first: number) => void;

/** Cuts the loop along its outermost axis until what each view touches can be bound. */
function cut(shape: readonly number[], views: readonly View[], bindingBytes: number, first: number, visit: Visit): void {
  let rows = shape[0]!;
  for (const { operand, strides } of views) {
    if (fits(operand, bindingBytes)) continue;
    const room = bindingBytes / DEVICE_BYTES[operand.dtype];
    const inner = shape.slice(1).reduce((sum, extent, axis) => sum + (extent - 1) * strides[axis + 1]!, 0);
    // Windows begin up to ALIGNMENT early and end on a vec4.
    const outermost = Math.floor((room - ALIGNMENT - 8 - inner) / Math.max(1, strides[0]!));
    if (strides[0] !== 0) rows = Math.min(rows, outermost);
    else if (outermost < 0) rows = 0;
  }
  if (rows === shape[0]) return visit(shape, views, first);
  const inner = shape.slice(1);
  const size = sizeOf(inner);
  // Flat pieces stay aligned for vec4 and for whole windows.
  if (inner.length === 0) rows = Math.max(ALIGNMENT, Math.floor(rows / ALIGNMENT) * ALIGNMENT);
  const step = Math.max(1, rows);
  // Too scattered to be cut: binding it raises the error that names it.
  if (rows < 1 && (inner.length === 0 || shape[0]! > MOST_PIECES)) return visit(shape, views, first);
  for (let at = 0; at < shape[0]!; at += step) {
    const moved = views.map((view) => ({ ...view, start: view.start + at * view.strides[0]! }));
    if (rows >= 1) visit([Math.min(step, shape[0]! - at), ...inner], moved, first + at * size);
    else cut(inner, moved.map((view) => ({ ...view, strides: view.strides.slice(1) })), bindingBytes, first + at * size, visit);
  }
}

/** Whether the whole operand can be bound, as vec4. */
export function fits({ dtype, shape }: Operand, bindingBytes: number): boolean {
  return Math.ceil((sizeOf(shape) * DEVICE_BYTES[dtype]) / 16) * 16 <= bindingBytes;
}

/** Elements start … start + length of an operand as it can be bound, and where the first of them is within. */
export function windowOf(operand: Operand, start: number, length: number, bindingBytes: number): { binding: Binding; start: number } {
  if (fits(operand, bindingBytes)) return { binding: operand, start };
  const begin = Math.floor(start / ALIGNMENT) * ALIGNMENT;
  const end = Math.min(sizeOf(operand.shape), start + length);
  // What is still too large raises the error that names it.
  if ((end - begin) * DEVICE_BYTES[operand.dtype] > bindingBytes) return { binding: operand, start };
  return { binding: { operand, start: begin, length: end - begin }, start: start - begin };
}

/** What of the view is bound, and the first element within. */
function bindingOf({ operand, start, strides }: View, shape: readonly number[], bindingBytes: number): { binding: Binding; start: number } {
  return windowOf(operand, start, shape.reduce((sum, extent, axis) => sum + (extent - 1) * strides[axis]!, 1), bindingBytes);
}

/** Rows of so many elements that a window holds, wherever it begins. */
export function rowsOfWindow(width: number, dtype: DType, bindingBytes: number): number {
  return Math.max(1, Math.floor((bindingBytes / DEVICE_BYTES[dtype] - ALIGNMENT - 8) / Math.max(1, width)));
}

/** Whether four neighbours of the loop are four neighbours, or one element, of every view. */
function isVector(shape: readonly number[], views: readonly View[]): boolean {
  const last = shape.length - 1;
  const whole = shape[last]! % 4 === 0;
  return views.every(({ operand, start, strides }, index) => {
    const stride = strides[last]!;
    const isOut = index === views.length - 1;
    if (stride === 0 && !isOut) return true;
    if (stride !== 1 || start % 4 !== 0) return false;
    for (let axis = 0; axis < last; axis++) if (strides[axis]! % 4 !== 0) return false;
    // The rest of the last vec4 is padding of the buffer, unless out goes on there.
    return whole || (last === 0 && (!isOut || start + shape[0]! === sizeOf(operand.shape)));
  });
}

function launch(
  runtime: Runtime, kernel: StridedKernel, inputNames: readonly string[], shape: readonly number[], views: readonly View[], first: number,
): void {
  const last = shape.length - 1;
  const lanes = isVector(shape, views) ? 4 : 1;
  // v: a vec4 of neighbours; s: one element for all lanes; e: one element by a stride.
  const letters = views.map(({ strides }) => (strides[last] === 0 ? 's' : lanes === 4 ? 'v' : strides[last] === 1 ? 'n' : 'e'));
  const names = [...inputNames, 'out'];
  const program = runtime.program(`${kernel.name} ${shape.length}${letters.join('')}${lanes}`, () => {
    const { head = '', value } = kernel.body(LANES[lanes]);
    const storage = views.map(({ operand }) => wgslType(operand.dtype));
    return {
      buffers: {
        ...Object.fromEntries(names.map((name, index) => [name, bufferOf(views[index]!.operand.dtype, letters[index] === 'v', index === names.length - 1)])),
        ...Object.fromEntries(Object.entries(kernel.tables ?? {}).map(([name, { spec }]) => [name, spec])),
      },
      args: { length: 'u32', ...fieldsOf(kernel, names, shape.length, letters) },
      code: [head, loopBody(names, storage, shape.length, letters, value, lanes, kernel.indexed === true)].join('\n'),
      perElement: true,
    };
  });
  const bound = views.map((view) => bindingOf(view, shape, runtime.traits.bindingBytes));
  const buffers: Record<string, Binding> = {};
  const args: Record<string, number> = { first: first % 2 ** 32, firstBeyond: Math.floor(first / 2 ** 32) };
  for (const [name, { value }] of Object.entries(kernel.args ?? {})) args[name] = value;
  for (const [name, { operand }] of Object.entries(kernel.tables ?? {})) buffers[name] = operand;
  for (let axis = 1; axis <= last; axis++) args[`n${axis}`] = axis === last ? shape[axis]! / lanes : shape[axis]!;
  names.forEach((name, index) => {
    const unit = letters[index] === 'v' ? 4 : 1;
    buffers[name] = bound[index]!.binding;
    args[`${name}_at`] = bound[index]!.start / unit;
    views[index]!.strides.forEach((stride, axis) => (args[`${name}_${axis}`] = stride / unit));
  });
  const length = sizeOf(shape.slice(0, last)) * Math.ceil(shape[last]! / lanes);
  runtime.run(program, buffers, { ...args, length }, runtime.fold(Math.ceil(length / ELEMENT_GROUP)));
}

function bufferOf(dtype: DType, vector: boolean, out: boolean): BufferSpec {
  const type = wgslType(dtype);
  return { access: out ? 'write' : 'read', type: vector ? `vec4<${type}>` : type };
}

function fieldsOf(kernel: StridedKernel, names: readonly string[], rank: number, letters: readonly string[]): Record<string, ScalarType> {
  const fields: Record<string, ScalarType> = {};
  for (const [name, { type }] of Object.entries(kernel.args ?? {})) fields[name] = type;
  if (kernel.indexed) fields.first = fields.firstBeyond = 'u32';
  for (let axis = 1; axis < rank; axis++) fields[`n${axis}`] = 'u32';
  names.forEach((name, index) => {
    fields[`${name}_at`] = 'u32';
    // The last stride of v and n is 1, of s 0.
    for (let axis = 0; axis < rank; axis++) if (axis < rank - 1 || letters[index] === 'e') fields[`${name}_${axis}`] = 'u32';
  });
  if (Object.keys(fields).length > MOST_FIELDS) {
    throw new XMoEError('shape', `${rank} axes that cannot be merged are more than this kernel walks`, { op: kernel.name, hint: 'reshape to fewer axes' });
  }
  return fields;
}

/** `fn element(i)`: the coordinates c0, c1, … of the loop, then every operand at its place. */
function loopBody(
  names: readonly string[], types: readonly string[], rank: number, letters: readonly string[], value: string, lanes: 1 | 4, indexed: boolean,
): string {
  const lines = ['var c0 = i;'];
  for (let axis = rank - 1; axis > 0; axis--) lines.push(`let c${axis} = c0 % args.n${axis}; c0 = c0 / args.n${axis};`);
  if (indexed) lines.push(`let at = args.first + i * ${lanes};`, 'let atBeyond = args.firstBeyond + select(0u, 1u, at < args.first);');
  const place = (name: string, letter: string): string => {
    const terms = [`args.${name}_at`];
    for (let axis = 0; axis < rank - 1; axis++) terms.push(`c${axis} * args.${name}_${axis}`);
    if (letter === 'e') terms.push(`c${rank - 1} * args.${name}_${rank - 1}`);
    else if (letter !== 's') terms.push(`c${rank - 1}`);
    return `${name}[${terms.join(' + ')}]`;
  };
  names.slice(0, -1).forEach((name, index) => {
    const element = place(name, letters[index]!);
    const splat = lanes === 4 && letters[index] === 's';
    lines.push(`let ${name}_value = ${splat ? `vec4<${types[index]}>(${element})` : element};`);
  });
  lines.push(`${place('out', letters.at(-1)!)} = ${value};`);
  return `fn element(i: u32) {\n  ${lines.join('\n  ')}\n}`;
}

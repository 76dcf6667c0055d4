// What an update of all parameters costs: adamStep and sumSquares over lists, as many tensors per launch as it may bind. Tensors
// beyond the largest binding are cut.
import { sizeOf, type Kernels, type Operand } from '@xmoe/core';
import { DEVICE_BYTES } from '../runtime/buffers.js';
import { reads, wgslType, writes, type BufferSpec, type BufferType, type ProgramSpec, type ScalarType } from '../runtime/program.js';
import type { Binding, Runtime } from '../runtime/runtime.js';
import { reduceInto } from './reduce.js';
import { fits } from './strided.js';

const GROUP = 256;
/** Elements that one workgroup squares. */
const CHUNK = 8192;
/** Tensors of one launch, however many buffers it may bind (in some browsers, a million): each has two arguments. */
const MOST_TENSORS = 24;

export function optimizerKernels(runtime: Runtime) {
  return {
    adamStep({ gradients, hyper }, { parameters, m, v }, { decay }) {
      const tensors = parameters.map((parameter, index) => [parameter, gradients[index]!, m[index]!, v[index]!]);
      const most = Math.min(Math.floor((runtime.traits.maxStorageBuffers - 1) / 4), MOST_TENSORS);
      for (const bundle of bundles(tensors, runtime.traits.bindingBytes, most)) adamBundle(runtime, bundle, hyper, decay);
    },
    sumSquares({ parts }, { out }) {
      const { bindingBytes, maxStorageBuffers } = runtime.traits;
      const most = Math.min(maxStorageBuffers - 1, MOST_TENSORS);
      const pieces = bundles(parts.map((x) => [x]), bindingBytes, most);
      const total = pieces.flat().reduce((sum, { length }) => sum + Math.ceil(length / CHUNK), 0);
      const partial = total === 1 ? out : runtime.scratch('float32', [total]);
      let chunk = 0;
      for (const bundle of pieces) chunk += squaresBundle(runtime, bundle, wgslType(parts[0]!.dtype), partial, chunk);
      if (total !== 1) reduceInto(runtime, 'sumSquares total', 'sum', partial, out, { outer: 1, size: total, inner: 1 });
    },
  } satisfies Partial<Kernels>;
}

/** The same elements of tensors that belong together. */
interface Piece {
  readonly bindings: readonly Binding[];
  readonly length: number;
}

/** Lists of at most `most` pieces. Each entry of `tensors` is a list of operands of one size. */
function bundles(tensors: readonly (readonly Operand[])[], bindingBytes: number, most: number): Piece[][] {
  const pieces = tensors.flatMap((operands): Piece[] => {
    const size = sizeOf(operands[0]!.shape);
    if (size === 0) return [];
    if (operands.every((operand) => fits(operand, bindingBytes))) return [{ bindings: operands, length: size }];
    const step = Math.floor(bindingBytes / Math.max(...operands.map(({ dtype }) => DEVICE_BYTES[dtype])) / CHUNK) * CHUNK;
    return Array.from({ length: Math.ceil(size / step) }, (_, index): Piece => {
      const start = index * step;
      const length = Math.min(step, size - start);
      return { bindings: operands.map((operand) => ({ operand, start, length })), length };
    });
  });
  return Array.from({ length: Math.ceil(pieces.length / most) }, (_, index) => pieces.slice(index * most, (index + 1) * most));
}

function adamBundle(runtime: Runtime, bundle: readonly Piece[], hyper: Operand, decay: boolean): void {
  const buffers: Record<string, Binding> = { hyper };
  const args: Record<string, number> = { decay: Number(decay) };
  let end = 0;
  bundle.forEach(({ bindings, length }, index) => {
    ['p', 'g', 'm', 'v'].forEach((name, position) => (buffers[`${name}${index}`] = bindings[position]!));
    const units = Math.ceil(length / 4);
    // A workgroup has one tensor, so that its threads take one branch.
    end += Math.ceil(units / GROUP);
    args[`units${index}`] = units;
    args[`end${index}`] = end;
  });
  const program = runtime.program(`adamStep ${bundle.length}`, () => adamSpec(bundle.length));
  runtime.run(program, buffers, { ...args, count: end }, runtime.fold(end));
}

/** Decoupled weight decay: Loshchilov and Hutter 2019, Algorithm 2. */
function adamSpec(count: number): ProgramSpec {
  const indices = Array.from({ length: count }, (_, index) => index);
  const buffers: Record<string, BufferSpec> = { hyper: reads('f32') };
  const args: Record<string, ScalarType> = { count: 'u32', decay: 'f32' };
  for (const index of indices) {
    buffers[`p${index}`] = writes('vec4<f32>');
    buffers[`g${index}`] = reads('vec4<f32>');
    buffers[`m${index}`] = writes('vec4<f32>');
    buffers[`v${index}`] = writes('vec4<f32>');
    args[`units${index}`] = 'u32';
    args[`end${index}`] = 'u32';
  }
  const branches = indices.map((index) => `if (index < args.end${index}) {
    let at = (index - ${index === 0 ? '0' : `args.end${index - 1}`}) * ${GROUP} + lane;
    if (at >= args.units${index}) { return; }
    let next = step(p${index}[at], g${index}[at], m${index}[at], v${index}[at]);
    p${index}[at] = next.p;
    m${index}[at] = next.m;
    v${index}[at] = next.v;
  }`);
  return {
    buffers,
    args,
    code: `
struct State { p: vec4f, m: vec4f, v: vec4f }
fn step(p: vec4f, gradient: vec4f, m: vec4f, v: vec4f) -> State {
  let g = gradient * hyper[7];
  let first = hyper[1] * m + hyper[8] * g;
  let second = hyper[2] * v + hyper[9] * g * g;
  let update = first / hyper[5] / (sqrt(second / hyper[6]) + hyper[3]);
  return State(p - hyper[0] * (update + args.decay * hyper[4] * p), first, second);
}
@compute @workgroup_size(${GROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let index = group.y * groups.x + group.x;
  if (index >= args.count || hyper[7] == 0) { return; }
  ${branches.join(' else ')}
}`,
  };
}

/** One partial sum per chunk, from \`first\` on. Returns how many. */
function squaresBundle(runtime: Runtime, bundle: readonly Piece[], type: string, partial: Operand, first: number): number {
  const buffers: Record<string, Binding> = { partial };
  const args: Record<string, number> = { first };
  let end = 0;
  bundle.forEach(({ bindings, length }, index) => {
    buffers[`x${index}`] = bindings[0]!;
    end += Math.ceil(length / CHUNK);
    args[`length${index}`] = length;
    args[`end${index}`] = end;
  });
  const program = runtime.program(`sumSquares ${type} ${bundle.length}`, () => squaresSpec(bundle.length, type));
  runtime.run(program, buffers, { ...args, count: end }, runtime.fold(end));
  return end;
}

function squaresSpec(count: number, type: string): ProgramSpec {
  const indices = Array.from({ length: count }, (_, index) => index);
  const args: Record<string, ScalarType> = { count: 'u32', first: 'u32' };
  for (const index of indices) {
    args[`length${index}`] = 'u32';
    args[`end${index}`] = 'u32';
  }
  const branches = indices.map((index) => `if (index < args.end${index}) {
    let begin = (index - ${index === 0 ? '0' : `args.end${index - 1}`}) * ${CHUNK / 4};
    let end = min(begin + ${CHUNK / 4}, (args.length${index} + 3) / 4);
    for (var at = begin + lane; at < end; at += ${GROUP}) { sum += squares(vec4f(x${index}[at]), at, args.length${index}); }
  }`);
  return {
    buffers: {
      partial: writes('f32'),
      ...Object.fromEntries(indices.map((index) => [`x${index}`, reads(`vec4<${type}>` as BufferType)])),
    },
    args,
    code: `
var<workgroup> sums: array<f32, ${GROUP}>;
// The rest of the last vec4 is padding.
fn squares(x: vec4f, at: u32, length: u32) -> f32 {
  let own = select(vec4f(0), x, at * 4 + vec4u(0, 1, 2, 3) < vec4u(length));
  return dot(own, own);
}
@compute @workgroup_size(${GROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let index = group.y * groups.x + group.x;
  if (index >= args.count) { return; }
  var sum = 0.0;
  ${branches.join(' else ')}
  sums[lane] = sum;
  workgroupBarrier();
  for (var half = ${GROUP / 2}u; half > 0; half /= 2) {
    if (lane < half) { sums[lane] += sums[lane + half]; }
    workgroupBarrier();
  }
  if (lane == 0) { partial[args.first + index] = sums[0]; }
}`,
  };
}

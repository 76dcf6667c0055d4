// A program: one WGSL kernel with its buffers and arguments declared as data, so that kernels write no boilerplate and every
// binding has a name that errors can use. Compiling and running are elsewhere.
import type { DType } from '@xmoe/core';

export type ScalarType = 'u32' | 'i32' | 'f32';

export interface BufferSpec {
  readonly access: 'read' | 'write';
  /** WGSL type of one element: `f32`, `vec4<f32>`, `atomic<u32>`. */
  readonly type: string;
}

export interface ProgramSpec {
  /** In binding order. `write` buffers may be read as well. */
  readonly buffers: Readonly<Record<string, BufferSpec>>;
  /** Fields of `args`, 4 bytes each. */
  readonly args: Readonly<Record<string, ScalarType>>;
  /**
   * WGSL after the generated head (enable lines, `struct Args`, bindings). It has an entry point `main`; or, with `perElement`,
   * a function `element(i: u32)` that is called for every i < args.length: the entry point is generated then.
   */
  readonly code: string;
  readonly perElement?: boolean;
  /** Extensions beyond f16, which follows from the buffers. */
  readonly enable?: readonly string[];
  /** Lines of `diagnostic(…);` and `requires …;`. */
  readonly directives?: readonly string[];
}

export interface Program extends ProgramSpec {
  /** The primitive's name and what tells its variants apart: labels errors and profiles. */
  readonly name: string;
  readonly source: string;
  /** Names of the buffers in binding order. */
  readonly bufferNames: readonly string[];
  readonly argNames: readonly string[];
  /** One letter per buffer: programs of one pattern share a bind group layout. */
  readonly pattern: string;
}

/** Threads of one workgroup of a `perElement` program. */
export const ELEMENT_GROUP = 256;

const WGSL_TYPES: Record<DType, string> = { float32: 'f32', float16: 'f16', int32: 'i32', uint32: 'u32', bool: 'u32' };

/** How elements of `dtype` lie in storage. A bool is a u32, 0 or 1. */
export function wgslType(dtype: DType): string {
  return WGSL_TYPES[dtype];
}

/** An input; `type` a dtype or a WGSL type. */
export function reads(type: DType | BufferType): BufferSpec {
  return { access: 'read', type: type in WGSL_TYPES ? wgslType(type as DType) : type };
}

/** An output, or both. */
export function writes(type: DType | BufferType): BufferSpec {
  return { access: 'write', type: type in WGSL_TYPES ? wgslType(type as DType) : type };
}

export type BufferType = 'f32' | 'f16' | 'i32' | 'u32' | `vec${2 | 4}<${'f32' | 'f16' | 'i32' | 'u32'}>` | `atomic<${'u32' | 'i32'}>`;

/** `halfOverflows`: see DeviceTraits. */
export function createProgram(name: string, spec: ProgramSpec, halfOverflows = true): Program {
  const bufferNames = Object.keys(spec.buffers);
  const argNames = Object.keys(spec.args);
  const pattern = bufferNames.map((buffer) => spec.buffers[buffer]!.access[0]).join('');
  return { name, ...spec, bufferNames, argNames, pattern, source: halfOverflows ? sourceOf(spec) : withOverflow(sourceOf(spec)) };
}

/** Conversions to float16 by functions that give infinities beyond its range. NaN stays what the device makes of it. */
function withOverflow(source: string): string {
  const converted = replaceConversions(source);
  return converted === source ? source : `${converted}${OVERFLOW_WGSL}\n`;
}

/** The names of conversions where they are called with one value; what is float16 already goes through float32, which changes nothing. */
function replaceConversions(source: string): string {
  const call = /\b(vec4<f16>|f16)\(/g;
  let out = '';
  let from = 0;
  for (let match = call.exec(source); match; match = call.exec(source)) {
    const begin = call.lastIndex;
    const { end, single } = argumentsFrom(source, begin);
    const [open, close] = single ? (match[1] === 'f16' ? ['toHalf(f32(', '))'] : ['toHalves(vec4f(', '))']) : [match[0], ')'];
    out += source.slice(from, match.index) + open + replaceConversions(source.slice(begin, end)) + close;
    from = call.lastIndex = end + 1;
  }
  return out + source.slice(from);
}

/** Where the parenthesis that is open at `begin` closes, and whether one value is inside. */
function argumentsFrom(source: string, begin: number): { end: number; single: boolean } {
  let depth = 0;
  let single = true;
  let end = begin;
  for (; depth > 0 || source[end] !== ')'; end++) {
    if ('(['.includes(source[end]!)) depth++;
    else if (')]'.includes(source[end]!)) depth--;
    else if (source[end] === ',' && depth === 0) single = false;
  }
  return { end, single: single && source.slice(begin, end).trim() !== '' };
}

/** From a variable, since WGSL knows no constant that is infinite. */
const OVERFLOW_WGSL = `
fn toHalf(x: f32) -> f16 {
  var bits = select(0x7c00u, 0xfc00u, x < 0.0);
  return select(f16(x), bitcast<vec2<f16>>(bits).x, abs(x) >= 65520.0);
}
fn toHalves(v: vec4f) -> vec4<f16> { return vec4<f16>(toHalf(v.x), toHalf(v.y), toHalf(v.z), toHalf(v.w)); }`.trim();


function sourceOf({ buffers, args, code, perElement, enable = [], directives = [] }: ProgramSpec): string {
  const half = Object.values(buffers).some(({ type }) => type.includes('f16'));
  const extensions = [...(half ? ['f16'] : []), ...enable];
  const fields = Object.entries(args).map(([name, type]) => `${name}: ${type}`);
  return [
    ...[...new Set(extensions)].map((name) => `enable ${name};`),
    ...directives,
    ...(fields.length > 0 ? [`struct Args { ${fields.join(', ')} }`] : []),
    ...Object.entries(buffers).map(([name, { access, type }], index) =>
      `@group(0) @binding(${index}) var<storage, ${access === 'read' ? 'read' : 'read_write'}> ${name}: array<${type}>;`),
    ...(fields.length > 0 ? ['@group(1) @binding(0) var<uniform> args: Args;'] : []),
    code.trim(),
    ...(perElement ? [ELEMENT_MAIN] : []),
    '',
  ].join('\n');
}

const ELEMENT_MAIN = `
@compute @workgroup_size(${ELEMENT_GROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * ${ELEMENT_GROUP}u + lane;
  if (i < args.length) { element(i); }
}`.trim();

/** The source with line numbers, for errors. */
export function numbered(source: string): string {
  return source.split('\n').map((line, index) => `${String(index + 1).padStart(4)} | ${line}`).join('\n');
}

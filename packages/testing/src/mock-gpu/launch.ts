// What a launch is, read from the source of its program and from what is bound: names of buffers, values of arguments, sizes. The
// head of every program is generated (runtime/program.ts of @xmoe/backend-webgpu), so two patterns read it.
import type { MockBuffer } from './mock-device.js';

export interface BufferDeclaration {
  readonly name: string;
  readonly access: 'read' | 'read_write';
  /** Of one element. */
  readonly type: string;
}

export interface ParsedProgram {
  readonly name: string;
  readonly source: string;
  readonly buffers: readonly BufferDeclaration[];
  readonly fields: readonly { readonly name: string; readonly type: string }[];
  /** Threads of a workgroup. */
  readonly threads: number;
}

export interface LaunchBinding extends BufferDeclaration {
  readonly buffer: MockBuffer;
  readonly offset: number;
  readonly bytes: number;
}

export interface Launch {
  /** The program's. */
  readonly name: string;
  readonly program: ParsedProgram;
  readonly args: Readonly<Record<string, number>>;
  readonly groups: readonly [number, number, number];
  readonly bindings: readonly LaunchBinding[];
}

/** An entry of a bind group. */
export interface BoundResource {
  readonly resource: { readonly buffer: MockBuffer; readonly offset?: number; readonly size?: number };
}

export function parseProgram(name: string, source: string): ParsedProgram {
  const buffers = [...source.matchAll(/@group\(0\) @binding\(\d+\) var<storage, (read|read_write)> (\w+): array<(.+)>;/g)]
    .map(([, access, buffer, type]) => ({ name: buffer!, access: access as BufferDeclaration['access'], type: type! }));
  const fields = (/struct Args \{ ([^}]*) \}/.exec(source)?.[1] ?? '').split(', ').filter(Boolean).map((field) => {
    const [argument, type] = field.split(': ');
    return { name: argument!, type: type! };
  });
  return { name, source, buffers, fields, threads: threadsOf(source) };
}

/** The product of the sizes of a workgroup, which may be names of constants. */
function threadsOf(source: string): number {
  const sizes = /@workgroup_size\(([^)]*)\)/.exec(source)?.[1]?.split(',') ?? [];
  return sizes.reduce((product, size) => {
    const text = size.trim();
    const value = /^\d/.test(text) ? text : new RegExp(`const ${text} = (\\d+)u?;`).exec(source)?.[1];
    return product * Number.parseInt(value ?? '0', 10);
  }, sizes.length === 0 ? 0 : 1);
}

export function launchOf(program: ParsedProgram, bound: readonly (readonly BoundResource[])[], groups: Launch['groups']): Launch {
  const bindings = (bound[0] ?? []).map(({ resource: { buffer, offset = 0, size = buffer.size - offset } }, index): LaunchBinding => ({
    ...(program.buffers[index] ?? { name: `binding ${index}`, access: 'read_write', type: 'none' }), buffer, offset, bytes: size,
  }));
  return { name: program.name, program, groups, bindings, args: argumentsOf(program, bound[1]?.[0]) };
}

const word = new Uint32Array(1);
const asFloat = new Float32Array(word.buffer);
const asInteger = new Int32Array(word.buffer);

function argumentsOf({ fields }: ParsedProgram, entry: BoundResource | undefined): Record<string, number> {
  if (!entry) return {};
  const { buffer: { words }, offset = 0 } = entry.resource;
  return Object.fromEntries(fields.map(({ name, type }, index) => {
    word[0] = words![offset / 4 + index]!;
    return [name, (type === 'f32' ? asFloat : type === 'i32' ? asInteger : word)[0]!];
  }));
}

// What a matrix product is to the tile generators: two operands, where a tile lies, and what becomes of a finished piece.
import type { DType } from '@xmoe/core';
import type { BufferSpec, ScalarType } from '../../runtime/program.js';
import type { TileOperand } from './operand-wgsl.js';

export interface Product {
  readonly a: TileOperand;
  readonly b: TileOperand;
  /** Buffers besides those of a and b, in binding order. */
  readonly buffers: Readonly<Record<string, BufferSpec>>;
  /** `tiles` (the number of workgroups) must be among them, and `aPitch`, `bPitch`. */
  readonly args: Readonly<Record<string, ScalarType>>;
  /** WGSL outside of functions. */
  readonly declarations: string;
  /**
   * WGSL at the beginning of main, from `index` (of the tile), `lane`, TILE_M, TILE_N and THREADS: declares the uniform u32 values
   * m0, n0 (first row and column), mEnd, nEnd, kBegin, kEnd (begin at a multiple of 4 from where rows begin), aBase, bBase.
   */
  readonly locate: string;
  /** WGSL that takes 4 finished columns of one row, both inside of the ends. The arguments are names. */
  finish(row: string, column: string, value: string): string;
  /** Sums of the columns of b over the reduction, where the uniform condition holds; rows of b are `inner` then. */
  readonly columnSums?: { readonly when: string; finish(column: string, value: string): string };
}

/** The beginning of main: which tile a workgroup has, and where that lies. */
export function tileEntry({ locate }: Product, threads: number): string {
  return `
@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let index = group.y * groups.x + group.x;
  if (index >= args.tiles) { return; }
  ${locate}`.trim();
}

/** WGSL of a float dtype. */
export function floatElement(dtype: DType): 'f32' | 'f16' {
  return dtype === 'float16' ? 'f16' : 'f32';
}

/** Whether `length` elements per row let rows be read 4 at a time. */
export function isVector(length: number): boolean {
  return length % 4 === 0;
}

/** `<name>Store(at, count, value)`: 4 elements from `at` on, or the `count` of them that there are; `add`: to what is there. */
export function storeFunction(name: string, element: 'f32' | 'f16', vector: boolean, add = false): string {
  const assign = add ? '+=' : '=';
  if (vector) return `fn ${name}Store(at: u32, count: u32, value: vec4f) { ${name}[at >> 2u] ${assign} vec4<${element}>(value); }`;
  return `fn ${name}Store(at: u32, count: u32, value: vec4f) {
  for (var i = 0u; i < 4u && i < count; i++) { ${name}[at + i] ${assign} ${element}(value[i]); }
}`;
}

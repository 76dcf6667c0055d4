// Long reductions into small results: when and into how many parts they are cut so that all of the device has work, and the second
// pass that adds the parts in order. Cuts depend on shapes alone, never on tiles: results do not depend on tuning.
import { sizeOf, type Operand } from '@xmoe/core';
import { reads, wgslType, writes } from '../../runtime/program.js';
import type { Runtime } from '../../runtime/runtime.js';

/** Workgroups below which a reduction is cut, and the shortest part. A large GPU runs 264 at once. */
const ENOUGH_GROUPS = 264;
const SHORTEST_PART = 256;
/** A result is counted in tiles of this edge, that of the fastest. */
const EDGE = 128;

/** The length of a part, a multiple of 64, and how many there are. */
export interface Split {
  readonly parts: number;
  readonly step: number;
}

/** For `count` products of M × N over K. */
export function splitOf(M: number, N: number, K: number, count: number): Split {
  const tiles = Math.ceil(M / EDGE) * Math.ceil(N / EDGE) * count;
  const wanted = tiles === 0 ? 1 : Math.min(Math.floor(ENOUGH_GROUPS / tiles), Math.floor(K / SHORTEST_PART));
  if (wanted <= 1) return { parts: 1, step: K };
  const step = Math.ceil(K / wanted / 64) * 64;
  return { parts: Math.ceil(K / step), step };
}

/** out[c][i] = Σ_s partial[c][s][i], ascending s: partial float32 [count, parts, …], out [count, …]. */
export function addParts(runtime: Runtime, primitive: string, partial: Operand, parts: number, out: Operand): void {
  const program = runtime.program(`${primitive} add parts ${out.dtype}`, () => ({
    buffers: { partial: reads('float32'), out: writes(out.dtype) },
    args: { length: 'u32', start: 'u32', parts: 'u32', size: 'u32' },
    code: `
fn element(i: u32) {
  let index = args.start + i;
  let first = (index / args.size) * args.parts * args.size + index % args.size;
  var sum = partial[first];
  for (var part = 1u; part < args.parts; part++) { sum += partial[first + part * args.size]; }
  out[i] = ${wgslType(out.dtype)}(sum);
}`,
    perElement: true,
  }));
  const length = sizeOf(out.shape);
  runtime.runElements(program, { partial, out }, { parts, size: sizeOf(partial.shape.slice(2)) }, length);
}

/** Rows of a part of a segment, for sums [K, M] over each of G segments of R rows; 0 where segments are better not cut. */
export function segmentPartOf(K: number, M: number, R: number, G: number): number {
  const tiles = Math.ceil(K / EDGE) * Math.ceil(M / EDGE);
  const part = Math.ceil(Math.max(SHORTEST_PART, (R * tiles) / ENOUGH_GROUPS) / 64) * 64;
  return tiles * G < ENOUGH_GROUPS && R >= 2 * G * part ? part : 0;
}

/** float32 to float16, in windows of any size. */
export function narrow(runtime: Runtime, primitive: string, x: Operand, out: Operand): void {
  const program = runtime.program(`${primitive} narrow`, () => ({
    buffers: { x: reads('float32'), out: writes(out.dtype) },
    args: { length: 'u32' },
    code: 'fn element(i: u32) { out[i] = f16(x[i]); }',
    perElement: true,
  }));
  runtime.runElements(program, { x, out }, {}, sizeOf(out.shape));
}

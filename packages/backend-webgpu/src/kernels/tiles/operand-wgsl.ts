// WGSL that reads the operands of a tiled product: plain or transposed, by index, with a factor per row, 8 or 4 elements at a time or
// one by one. Where the elements go is the matter of the tile generators.
import type { BufferSpec } from '../../runtime/program.js';
import { reads } from '../../runtime/program.js';
import type { Tile } from './tile-config.js';

/** Which of the two: names of functions and arguments begin with it. */
export type Side = 'a' | 'b';

/**
 * A matrix in storage: rows of `<side>Pitch` elements. `rows` says what they are: of the outer axis (M of a, N of b) or of the
 * reduction; the other axis is contiguous.
 */
export interface TileOperand {
  /** Name of the buffer. */
  readonly buffer: string;
  readonly element: 'f32' | 'f16';
  readonly rows: 'outer' | 'inner';
  readonly width: ReadWidth;
  /** Buffer of row indices (i32), bound from `<side>Indices` on: row r is storage row indices[r], zeros unless `<side>First` ≤ index < `<side>Last`. */
  readonly indices?: string;
  /** Buffer of factors (f32), one per row, bound from `<side>Scales` on. Only with rows `inner`. */
  readonly scale?: string;
}

/** Elements that are read at once. Rows and parts of rows begin and end at multiples of it. */
export type ReadWidth = 1 | 4 | 8;

/**
 * As wide as the tile can use and the rows allow: they have `pitch` elements, and parts of them begin at multiples of those in `places`. 8 elements
 * of float16 are 16 bytes.
 */
export function readWidth({ kind }: Tile, element: 'f32' | 'f16', pitch: number, ...places: readonly number[]): ReadWidth {
  const multiple = (width: number): boolean => [pitch, ...places].every((place) => place % width === 0);
  if (kind === 'matrix' && element === 'f16' && multiple(8)) return 8;
  return multiple(4) ? 4 : 1;
}

/** The declaration of the operand's own buffer. */
export function operandBuffer({ element, width }: TileOperand): BufferSpec {
  if (width === 8) return reads('vec4<u32>');
  return reads(width === 4 ? `vec4<${element}>` : element);
}

/**
 * `<side>At(row, end, base)`: where storage row of `row` begins, NOWHERE from `end` on and for an index outside.
 * `<side>Load(at, column, end)`: elements from `column` on, zeros from `end` on: 4 as a vec4 of `staged` f32, or 8 of f16 in a vec4<u32>.
 */
export function operandFunctions(side: Side, operand: TileOperand, staged: 'f32' | 'f16'): string {
  return [atFunction(side, operand), staged === 'f16' ? halvesLoad(side, operand) : fourLoad(`${side}Load`, operand, staged)].join('\n');
}

function fourLoad(name: string, operand: TileOperand, staged: 'f32' | 'f16'): string {
  return operand.width === 1 ? scalarLoad(name, operand, staged) : vectorLoad(name, operand, staged);
}

function halvesLoad(side: Side, operand: TileOperand): string {
  if (operand.width === 8) return vectorLoad(`${side}Load`, operand, 'u32');
  return `${fourLoad(`${side}Four`, operand, 'f16')}
fn ${side}Load(at: u32, column: u32, end: u32) -> vec4<u32> {
  return vec4<u32>(bitcast<vec2<u32>>(${side}Four(at, column, end)), bitcast<vec2<u32>>(${side}Four(at, column + 4u, end)));
}`;
}

function atFunction(side: Side, { indices }: TileOperand): string {
  const found = indices === undefined
    ? `return base + row * args.${side}Pitch;`
    : `let index = ${indices}[row + args.${side}Indices];
  if (index < i32(args.${side}First) || index >= i32(args.${side}Last)) { return NOWHERE; }
  return base + u32(index) * args.${side}Pitch;`;
  return `fn ${side}At(row: u32, end: u32, base: u32) -> u32 {
  if (row >= end) { return NOWHERE; }
  ${found}
}`;
}

// Without branches: what is outside reads element 0 and is replaced by zeros.

function vectorLoad(name: string, { buffer, width }: TileOperand, staged: string): string {
  return `fn ${name}(at: u32, column: u32, end: u32) -> vec4<${staged}> {
  let inside = at != NOWHERE && column < end;
  let v = ${buffer}[select(0u, (at + column) >> ${width === 8 ? 3 : 2}u, inside)];
  return select(vec4<${staged}>(), vec4<${staged}>(v), inside);
}`;
}

function scalarLoad(name: string, { buffer }: TileOperand, staged: string): string {
  return `fn ${name}(at: u32, column: u32, end: u32) -> vec4<${staged}> {
  let inside = at != NOWHERE && column < end;
  let count = select(0u, end - column, inside);
  let first = select(0u, at + column, inside);
  let last = first + max(count, 1u) - 1u;
  let v = vec4<${staged}>(${[0, 1, 2, 3].map((i) => `${staged}(${buffer}[${i === 0 ? 'first' : `min(first + ${i}u, last)`}])`).join(', ')});
  return select(vec4<${staged}>(), v, vec4u(0u, 1u, 2u, 3u) < vec4u(count));
}`;
}

/** `NOWHERE` is the place of a row of zeros. */
export const NOWHERE = 'const NOWHERE = 0xffffffffu;';

/**
 * Tiles in bands of 8 rows of tiles, columns after columns inside a band: neighbours in time share what they read.
 * `place(index, tilesM, tilesN)` gives (row, column) of a tile.
 */
export const PLACE = `
fn place(index: u32, tilesM: u32, tilesN: u32) -> vec2u {
  let band = 8u * tilesN;
  let first = (index / band) * 8u;
  let height = min(8u, tilesM - first);
  let inside = index % band;
  return vec2u(first + inside % height, inside / height);
}`.trim();

// WGSL that moves one operand of a tile from storage to workgroup memory. `columns`: [tileK][tile] in vec4f, so 4×4 blocks of a matrix
// whose rows are outer are transposed on the way. `stored`: as it lies in storage, in float16, 8 elements in a vec4<u32>. Pieces of the tile
// generators' mains.
import type { Side, TileOperand } from './operand-wgsl.js';
import { HALVES } from '../subgroup-matrix-wgsl.js';
import { PADDING } from './tile-config.js';

/** Code in the scope of main, where m0, n0, mEnd, nEnd, kEnd and the bases are. */
export interface Stage {
  /** Before the loop: places of rows that stay, and variables. */
  readonly prepare: string;
  /** Storage to registers, for the step that begins at `k0`. Nothing where the stash does it all. */
  fetch(k0: string): string;
  /** To workgroup memory; `first`: the element that the step begins at, where several are kept. */
  stash(k0: string, first?: string): string;
}

export interface StageShape {
  readonly layout: 'columns' | 'stored';
  /** Rows or columns of the product that the operand is staged for. */
  readonly tile: number;
  readonly tileK: number;
  readonly threads: number;
  /** The first so many lanes come last: they are busy with the other operand. */
  readonly shift: number;
  /** One loop over the blocks instead of all of them in a row. */
  readonly rolled: boolean;
}

/** How blocks are moved. `at` is the expression of a block's number, `id` tells its variables from those of other blocks. */
interface Block {
  /** Blocks of one step. */
  readonly count: number;
  readonly type: 'vec4f' | 'vec4<u32>';
  prepare(at: string, id: string): string;
  registers(id: string): readonly string[];
  fetch(at: string, id: string, k0: string): string;
  stash(at: string, id: string, first: string): string;
}

export function stageOf(side: Side, operand: TileOperand, shape: StageShape): Stage {
  const block = blockOf(side, operand, shape);
  return shape.rolled ? rolledStage(block) : unrolledStage(side, shape, block);
}

/** Blocks of one step. */
export function blockCount(side: Side, operand: TileOperand, shape: StageShape): number {
  return blockOf(side, operand, shape).count;
}

function blockOf(side: Side, operand: TileOperand, shape: StageShape): Block {
  if (operand.rows === 'inner') return inner(side, operand, shape);
  return shape.layout === 'stored' ? storedOuter(side, operand, shape) : transposedOuter(side, shape);
}

/** Elements of 8 halves from row to row of an operand that is staged as it is stored. One is left over: rows then begin in different memory banks. */
export function pitchOf({ rows }: TileOperand, { tile, tileK }: Pick<StageShape, 'tile' | 'tileK'>): number {
  return (rows === 'outer' ? tileK : tile) / HALVES + 1;
}

/** A factor on 8 halves, rounded to float16 once. */
export const SCALED_HALVES_WGSL = `
fn scaledHalves(v: vec4<u32>, factor: f32) -> vec4<u32> {
  let first = vec4h(vec4f(bitcast<vec4h>(v.xy)) * factor);
  let second = vec4h(vec4f(bitcast<vec4h>(v.zw)) * factor);
  return vec4<u32>(bitcast<vec2<u32>>(first), bitcast<vec2<u32>>(second));
}`.trim();

/** The rows that follow the outer axis, and where they end. */
const outerAxis = (side: Side): readonly [string, string] => (side === 'a' ? ['m0', 'mEnd'] : ['n0', 'nEnd']);

function transposedOuter(side: Side, { tile, tileK }: StageShape): Block {
  const [origin, end] = outerAxis(side);
  const four = [0, 1, 2, 3];
  const across = (at: string): string => `(${at} % ${tileK / 4}u)`;
  const down = (at: string): string => `(${at} / ${tileK / 4}u)`;
  const row = (id: string, j: number): string => `${side}Row${id}_${j}`;
  const place = (id: string, j: number): string => `${side}Place${id}_${j}`;
  return {
    count: (tile / 4) * (tileK / 4),
    type: 'vec4f',
    prepare: (at, id) => four.map((j) => `let ${place(id, j)} = ${side}At(${origin} + ${down(at)} * 4u + ${j}u, ${end}, ${side}Base);`).join(' '),
    registers: (id) => four.map((j) => row(id, j)),
    fetch: (at, id, k0) => four.map((j) => `${row(id, j)} = ${side}Load(${place(id, j)}, ${k0} + ${across(at)} * 4u, kEnd);`).join(' '),
    stash: (at, id, first) => four.map((k) => {
      const column = four.map((j) => `${row(id, j)}.${'xyzw'[k]}`).join(', ');
      return `${side}Tile[${first}(${across(at)} * 4u + ${k}u) * ${tile / 4 + PADDING}u + ${down(at)}] = vec4f(${column});`;
    }).join(' '),
  };
}

function storedOuter(side: Side, operand: TileOperand, { tile, tileK }: StageShape): Block {
  const [origin, end] = outerAxis(side);
  const across = (at: string): string => `(${at} % ${tileK / HALVES}u)`;
  const down = (at: string): string => `(${at} / ${tileK / HALVES}u)`;
  const [row, place] = [(id: string): string => `${side}Row${id}`, (id: string): string => `${side}Place${id}`];
  return {
    count: tile * (tileK / HALVES),
    type: 'vec4<u32>',
    prepare: (at, id) => `let ${place(id)} = ${side}At(${origin} + ${down(at)}, ${end}, ${side}Base);`,
    registers: (id) => [row(id)],
    fetch: (at, id, k0) => `${row(id)} = ${side}Load(${place(id)}, ${k0} + ${across(at)} * ${HALVES}u, kEnd);`,
    stash: (at, id, first) => `${side}Tile[${first}${down(at)} * ${pitchOf(operand, { tile, tileK })}u + ${across(at)}] = ${row(id)};`,
  };
}

function inner(side: Side, operand: TileOperand, { tile, tileK, layout }: StageShape): Block {
  const { scale } = operand;
  const [origin, end] = outerAxis(side);
  const stored = layout === 'stored';
  const [width, pitch] = stored ? [HALVES, pitchOf(operand, { tile, tileK })] : [4, tile / 4 + PADDING];
  const across = (at: string): string => `(${at} % ${tile / width}u)`;
  const down = (at: string): string => `(${at} / ${tile / width}u)`;
  const row = (id: string): string => `${side}Row${id}`;
  const scaled = (id: string): string => (stored ? `scaledHalves(${row(id)}, ${scale}[k + args.${side}Scales])` : `${row(id)} * ${scale}[k + args.${side}Scales]`);
  return {
    count: tileK * (tile / width),
    type: stored ? 'vec4<u32>' : 'vec4f',
    prepare: () => '',
    registers: (id) => [row(id)],
    fetch: (at, id, k0) => `{
      let k = ${k0} + ${down(at)};
      ${row(id)} = ${side}Load(${side}At(k, kEnd, ${side}Base), ${origin} + ${across(at)} * ${width}u, ${end});
      ${scale ? `if (k < kEnd) { ${row(id)} = ${scaled(id)}; }` : ''}
    }`,
    stash: (at, id, first) => `${side}Tile[${first}${down(at)} * ${pitch}u + ${across(at)}] = ${row(id)};`,
  };
}

const offsetOf = (first: string | undefined): string => (first === undefined ? '' : `${first} + `);

const declared = ({ type, registers }: Block, id: string): string => registers(id).map((name) => `var ${name} = ${type}();`).join(' ');

/** Every block in registers of its own, so that all loads are under way at once. */
function unrolledStage(side: Side, { threads, shift }: StageShape, block: Block): Stage {
  const slots = Array.from({ length: Math.ceil(block.count / threads) }, (_, slot) => ({
    id: `${slot}`, at: `(${side}Lane + ${slot * threads}u)`, full: (slot + 1) * threads <= block.count,
  }));
  const first = shift % threads === 0 ? 'lane' : `(lane + ${threads - (shift % threads)}u) % THREADS`;
  const each = (code: (at: string, id: string) => string): string =>
    slots.map(({ id, at, full }) => (full ? code(at, id) : `if (${at} < ${block.count}u) { ${code(at, id)} }`)).join('\n    ');
  return {
    prepare: [`let ${side}Lane = ${first};`, ...slots.map(({ id, at }) => `${block.prepare(at, id)} ${declared(block, id)}`)].join('\n  '),
    fetch: (k0) => each((at, id) => block.fetch(at, id, k0)),
    stash: (_k0, first) => each((at, id) => block.stash(at, id, offsetOf(first))),
  };
}

function rolledStage(block: Block): Stage {
  return {
    prepare: '',
    fetch: () => '',
    stash: (k0, first) => `for (var at = lane; at < ${block.count}u; at += THREADS) {
      ${block.prepare('at', '')}
      ${declared(block, '')}
      ${block.fetch('at', '', k0)}
      ${block.stash('at', '', offsetOf(first))}
    }`,
  };
}

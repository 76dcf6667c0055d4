// WGSL that moves one operand of a tile from storage to workgroup memory. `columns`: [tileK][tile] in vec4f, so 4×4 blocks of a matrix
// whose rows are outer are transposed on the way. `stored`: as it lies in storage, in float16. Pieces of the tile generators' mains.
import type { Side, TileOperand } from './operand-wgsl.js';
import { HALF_PADDING, PADDING } from './tile-config.js';

/** Code in the scope of main, where m0, n0, mEnd, nEnd, kEnd and the bases are. */
export interface Stage {
  /** Before the loop: places of rows that stay, and variables. */
  readonly prepare: string;
  /** Storage to registers, for the step that begins at `k0`. Nothing where the stash does it all. */
  fetch(k0: string): string;
  /** To workgroup memory. */
  stash(k0: string): string;
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
  readonly type: 'vec4f' | 'vec4h';
  prepare(at: string, id: string): string;
  registers(id: string): readonly string[];
  fetch(at: string, id: string, k0: string): string;
  stash(at: string, id: string): string;
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
  if (shape.layout === 'stored') return operand.rows === 'outer' ? storedOuter(side, shape) : inner(side, operand, shape, stashHalves(side, pitchOf(operand, shape)));
  if (operand.rows === 'outer') return transposedOuter(side, shape);
  return inner(side, operand, shape, (row, down, across) => `${side}Tile[${down} * ${shape.tile / 4 + PADDING}u + ${across}] = ${row};`);
}

/** Elements from row to row of an operand that is staged as it is stored. */
export function pitchOf({ rows }: TileOperand, { tile, tileK }: Pick<StageShape, 'tile' | 'tileK'>): number {
  return (rows === 'outer' ? tileK : tile) + HALF_PADDING;
}

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
    stash: (at, id) => four.map((k) => {
      const column = four.map((j) => `${row(id, j)}.${'xyzw'[k]}`).join(', ');
      return `${side}Tile[(${across(at)} * 4u + ${k}u) * ${tile / 4 + PADDING}u + ${down(at)}] = vec4f(${column});`;
    }).join(' '),
  };
}

function storedOuter(side: Side, { tile, tileK }: StageShape): Block {
  const [origin, end] = outerAxis(side);
  const across = (at: string): string => `(${at} % ${tileK / 4}u)`;
  const down = (at: string): string => `(${at} / ${tileK / 4}u)`;
  const [row, place] = [(id: string): string => `${side}Row${id}`, (id: string): string => `${side}Place${id}`];
  return {
    count: tile * (tileK / 4),
    type: 'vec4h',
    prepare: (at, id) => `let ${place(id)} = ${side}At(${origin} + ${down(at)}, ${end}, ${side}Base);`,
    registers: (id) => [row(id)],
    fetch: (at, id, k0) => `${row(id)} = ${side}Load(${place(id)}, ${k0} + ${across(at)} * 4u, kEnd);`,
    stash: (at, id) => stashHalves(side, tileK + HALF_PADDING)(row(id), down(at), across(at)),
  };
}

function stashHalves(side: Side, pitch: number) {
  return (row: string, down: string, across: string): string =>
    [0, 1, 2, 3].map((i) => `${side}Tile[${down} * ${pitch}u + ${across} * 4u + ${i}u] = ${row}.${'xyzw'[i]};`).join(' ');
}

function inner(side: Side, { scale }: TileOperand, { tile, tileK, layout }: StageShape, stash: (row: string, down: string, across: string) => string): Block {
  const [origin, end] = outerAxis(side);
  const type = layout === 'stored' ? 'vec4h' : 'vec4f';
  const across = (at: string): string => `(${at} % ${tile / 4}u)`;
  const down = (at: string): string => `(${at} / ${tile / 4}u)`;
  const row = (id: string): string => `${side}Row${id}`;
  return {
    count: tileK * (tile / 4),
    type,
    prepare: () => '',
    registers: (id) => [row(id)],
    fetch: (at, id, k0) => `{
      let k = ${k0} + ${down(at)};
      ${row(id)} = ${side}Load(${side}At(k, kEnd, ${side}Base), ${origin} + ${across(at)} * 4u, ${end});
      ${scale ? `if (k < kEnd) { ${row(id)} = ${type}(vec4f(${row(id)}) * ${scale}[k + args.${side}Scales]); }` : ''}
    }`,
    stash: (at, id) => stash(row(id), down(at), across(at)),
  };
}

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
    stash: () => each(block.stash),
  };
}

function rolledStage(block: Block): Stage {
  return {
    prepare: '',
    fetch: () => '',
    stash: (k0) => `for (var at = lane; at < ${block.count}u; at += THREADS) {
      ${block.prepare('at', '')}
      ${declared(block, '')}
      ${block.fetch('at', '', k0)}
      ${block.stash('at', '')}
    }`,
  };
}

// WGSL that moves one operand of a tile from storage to workgroup memory, as [tileK][tile] in vec4s: 4×4 blocks of a matrix whose rows
// are outer (transposed on the way), vec4s of one whose rows are of the reduction. Pieces of the tile generator's main.
import type { Side, TileOperand } from './operand-wgsl.js';
import { PADDING } from './tile-config.js';

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
  /** Rows or columns of the product that the operand is staged for. */
  readonly tile: number;
  readonly tileK: number;
  readonly threads: number;
  /** The first so many lanes come last: they are busy with the other operand. */
  readonly shift: number;
  readonly rolled: boolean;
}

/** Loads of one step. */
export function blocksOf({ rows }: TileOperand, tile: number, tileK: number): number {
  return rows === 'outer' ? (tile / 4) * (tileK / 4) : tileK * (tile / 4);
}

export function stageOf(side: Side, operand: TileOperand, shape: StageShape): Stage {
  const block = operand.rows === 'outer' ? outerBlock(side, shape) : innerBlock(side, operand, shape);
  return shape.rolled ? rolledStage(operand, shape, block) : unrolledStage(side, operand, shape, block);
}

/** How one block is moved. `at` is the expression of its number, `id` tells its variables from those of other blocks. */
interface Block {
  prepare(at: string, id: string): string;
  registers(id: string): readonly string[];
  fetch(at: string, id: string, k0: string): string;
  stash(at: string, id: string): string;
}

function outerBlock(side: Side, { tile, tileK }: StageShape): Block {
  const [origin, end] = side === 'a' ? ['m0', 'mEnd'] : ['n0', 'nEnd'];
  const four = [0, 1, 2, 3];
  const across = (at: string): string => `(${at} % ${tileK / 4}u)`;
  const down = (at: string): string => `(${at} / ${tileK / 4}u)`;
  const row = (id: string, j: number): string => `${side}Row${id}_${j}`;
  const place = (id: string, j: number): string => `${side}Place${id}_${j}`;
  return {
    prepare: (at, id) => four.map((j) => `let ${place(id, j)} = ${side}At(${origin} + ${down(at)} * 4u + ${j}u, ${end}, ${side}Base);`).join(' '),
    registers: (id) => four.map((j) => row(id, j)),
    fetch: (at, id, k0) => four.map((j) => `${row(id, j)} = ${side}Load(${place(id, j)}, ${k0} + ${across(at)} * 4u, kEnd);`).join(' '),
    stash: (at, id) => four.map((k) => {
      const column = four.map((j) => `${row(id, j)}.${'xyzw'[k]}`).join(', ');
      return `${side}Tile[(${across(at)} * 4u + ${k}u) * ${tile / 4 + PADDING}u + ${down(at)}] = vec4f(${column});`;
    }).join(' '),
  };
}

function innerBlock(side: Side, { scale }: TileOperand, { tile }: StageShape): Block {
  const [origin, end] = side === 'a' ? ['m0', 'mEnd'] : ['n0', 'nEnd'];
  const across = (at: string): string => `(${at} % ${tile / 4}u)`;
  const down = (at: string): string => `(${at} / ${tile / 4}u)`;
  const row = (id: string): string => `${side}Row${id}`;
  return {
    prepare: () => '',
    registers: (id) => [row(id)],
    fetch: (at, id, k0) => `{
      let k = ${k0} + ${down(at)};
      ${row(id)} = ${side}Load(${side}At(k, kEnd, ${side}Base), ${origin} + ${across(at)} * 4u, ${end});
      ${scale ? `if (k < kEnd) { ${row(id)} *= ${scale}[k + args.${side}Scales]; }` : ''}
    }`,
    stash: (at, id) => `${side}Tile[${down(at)} * ${tile / 4 + PADDING}u + ${across(at)}] = ${row(id)};`,
  };
}

const declared = (names: readonly string[]): string => names.map((name) => `var ${name} = vec4f();`).join(' ');

/** Every block in registers of its own, so that all loads are under way at once. */
function unrolledStage(side: Side, operand: TileOperand, { tile, tileK, threads, shift }: StageShape, block: Block): Stage {
  const blocks = blocksOf(operand, tile, tileK);
  const slots = Array.from({ length: Math.ceil(blocks / threads) }, (_, slot) => ({ id: `${slot}`, at: `(${side}Lane + ${slot * threads}u)`, full: (slot + 1) * threads <= blocks }));
  const first = shift % threads === 0 ? 'lane' : `(lane + ${threads - (shift % threads)}u) % THREADS`;
  const each = (code: (at: string, id: string) => string): string =>
    slots.map(({ id, at, full }) => (full ? code(at, id) : `if (${at} < ${blocks}u) { ${code(at, id)} }`)).join('\n    ');
  return {
    prepare: [`let ${side}Lane = ${first};`, ...slots.map(({ id, at }) => `${block.prepare(at, id)} ${declared(block.registers(id))}`)].join('\n  '),
    fetch: (k0) => each((at, id) => block.fetch(at, id, k0)),
    stash: () => each(block.stash),
  };
}

function rolledStage(operand: TileOperand, { tile, tileK }: StageShape, block: Block): Stage {
  return {
    prepare: '',
    fetch: () => '',
    stash: (k0) => `for (var at = lane; at < ${blocksOf(operand, tile, tileK)}u; at += THREADS) {
      ${block.prepare('at', '')}
      ${declared(block.registers(''))}
      ${block.fetch('at', '', k0)}
      ${block.stash('at', '')}
    }`,
  };
}

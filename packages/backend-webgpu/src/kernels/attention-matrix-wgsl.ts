// What the kernels of attention by subgroup matrices share: how a head is cut, and the WGSL that stages rows and walks over scores. A
// subgroup has as many rows of its own side (queries, keys) as a matrix has, and keeps them in registers as matrices; rows of the other
// side pass by in workgroup memory, a block at a time, as they are stored. Scores leave the matrices through workgroup memory, since
// matrices have no elements that a lane could reach, and come back as float16.
//
// All kernels make the scores of a query and a key as the same product, q on the left and k on the right, from zeros, over the head in
// ascending order, and scale them in float32 afterwards: so they make the same bits of a score, wherever in a matrix it lies. What is
// between the scaling and the subtraction of the maximum (a selection) keeps compilers from making one operation of them, here and not there.
//
// Unlike in the plain kernels, what a query does not see because of its place counts with a factor of 0, as in the fallbacks: NaN and ∞ of
// such a key or query are seen. What a mask hides counts for nothing.
import type { DeviceTraits, SubgroupMatrixShape } from '../device/traits.js';
import { placeWgsl, type AttentionVariant } from './attention-forward-wgsl.js';
import { KEPT, times } from './attention-wgsl.js';
import { LOWEST } from './rows-wgsl.js';
import { FLOATS, HALVES, type MatrixDialect } from './subgroup-matrix-wgsl.js';

/** Matrices that attention can be computed with: `side` × `side` × `side`. */
export interface AttentionMatrices {
  readonly side: number;
  readonly subgroupSize: number;
  readonly dialect: MatrixDialect;
}

/** Longer heads would not leave a lane enough registers. */
const LONGEST_HEAD = 128;
const SUBGROUPS = [4, 2, 1];
const BLOCKS = [64, 32, 16, 8];

/** The first matrices of a device that serve; none where the size of its subgroups is not known before. */
export function attentionMatrices(traits: DeviceTraits, dialect: MatrixDialect): AttentionMatrices | undefined {
  const { subgroupMinSize, subgroupMaxSize: subgroupSize, subgroupMatrix, float16 } = traits;
  const cube = subgroupMatrix.find(({ M, N, K }) => M === N && M === K && M % HALVES === 0 && subgroupSize % M === 0);
  return cube && float16 && subgroupMinSize === subgroupSize ? { side: cube.M, subgroupSize, dialect } : undefined;
}

export type AttentionPass = 'forward' | 'queries' | 'keys';

export interface MatrixHead extends AttentionMatrices {
  readonly D: number;
  readonly shape: SubgroupMatrixShape;
  readonly subgroups: number;
  /** Lanes that share a row of a matrix. */
  readonly parts: number;
  /** Rows of one workgroup. */
  readonly rows: number;
  /** Rows of the other side in workgroup memory. */
  readonly block: number;
  /** Of a subgroup's scores: queries, and keys. */
  readonly down: number;
  readonly across: number;
  /** 16-byte elements from row to row of staged rows, of scores in float32, and of them in float16: odd where they can be, against bank conflicts. */
  readonly pitch: number;
  readonly scorePitch: number;
  readonly halfPitch: number;
}

/** How a head of size `D` is cut for each of the kernels. All or none: plain ones make other bits of a score. */
export function matrixHeads(matrices: AttentionMatrices, D: number, traits: DeviceTraits): Readonly<Record<AttentionPass, MatrixHead>> | undefined {
  const [forward, queries, keys] = (['forward', 'queries', 'keys'] as const).map((pass) => matrixHead(matrices, D, pass, traits));
  return forward && queries && keys && { forward, queries, keys };
}

/** With as many subgroups as may be, then in the largest blocks that there is memory for. */
function matrixHead(matrices: AttentionMatrices, D: number, pass: AttentionPass, traits: DeviceTraits): MatrixHead | undefined {
  const { side, subgroupSize } = matrices;
  const parts = subgroupSize / side;
  if (D === 0 || D % side !== 0 || D % (FLOATS * parts) !== 0 || D > LONGEST_HEAD) return undefined;
  const heads = SUBGROUPS.flatMap((subgroups) => BLOCKS.filter((block) => block % side === 0).map((block): MatrixHead => {
    const [down, across] = pass === 'keys' ? [block, side] : [side, block];
    return {
      ...matrices, D, parts, subgroups, block, down, across, shape: { M: side, N: side, K: side }, rows: subgroups * side,
      pitch: D / HALVES + 1, scorePitch: across / FLOATS + 1, halfPitch: across / HALVES + 1,
    };
  }));
  return heads.find((head) => head.subgroups * subgroupSize <= traits.maxInvocations && memoryOf(head, pass) <= traits.workgroupMemoryBytes
    && ((head.down * head.across) / HALVES) % subgroupSize === 0);
}

/** Bytes of workgroup memory. */
function memoryOf(head: MatrixHead, pass: AttentionPass): number {
  const { subgroups, down, scorePitch, halfPitch, block, subgroupSize } = head;
  const [scores, halves] = { forward: [1, 1], queries: [2, 1], keys: [2, 2] }[pass] as [number, number];
  const perRow = subgroups * down * (scores * scorePitch + halves * halfPitch);
  return 16 * (tileLength(head) + perRow + block) + 4 * subgroups * subgroupSize;
}

/** Blocks of two operands; before them, rows of one that the workgroup keeps. */
function tileLength({ block, rows, pitch }: MatrixHead): number {
  return Math.max(2 * block, rows) * pitch;
}

/** Matrices beside each other in a head. */
export function headSteps({ D, side }: MatrixHead): number {
  return D / side;
}

/** Constants, workgroup memory and functions of pairs; `scores` and `halves` name the arrays for them. */
export function matrixHeadWgsl(head: MatrixHead, variant: AttentionVariant, scores: readonly string[], halves: readonly string[]): string {
  const { D, side, subgroupSize, subgroups, parts, rows, block, down, pitch, scorePitch, halfPitch, dialect, shape } = head;
  return `
${dialect.declarations(shape)}
const SIDE = ${side}u;
const SUBGROUP = ${subgroupSize}u;
const THREADS = ${subgroups * subgroupSize}u;
const PARTS = ${parts}u;
const ROWS = ${rows}u;
const BLOCK = ${block}u;
const OCTETS = ${D / HALVES}u;
const QUADS = ${D / FLOATS}u;
const PITCH = ${pitch}u;
const SCORE_PITCH = ${scorePitch}u;
const HALF_PITCH = ${halfPitch}u;
var<workgroup> tiles: array<vec4<u32>, ${tileLength(head)}>;
${scores.map((name) => `var<workgroup> ${name}: array<vec4<f32>, ${subgroups * down * scorePitch}>;`).join('\n')}
${halves.map((name) => `var<workgroup> ${name}: array<vec4<u32>, ${subgroups * down * halfPitch}>;`).join('\n')}
${placeWgsl(variant)}
${pairsWgsl(variant)}`.trim();
}

/** Of four keys from `key` on: which a row sees that may see `limit` leading ones; their scores; the factors of dropout, of the row that begins at `flat`. */
function pairsWgsl({ dropout, evenKeys }: AttentionVariant): string {
  const kept = evenKeys
    ? 'return vec4f(keptPair(wideSum(flat, key)), keptPair(wideSum(flat, key + 2u)));'
    : `return vec4f(${times(4, (i) => `keptOne(wideSum(flat, key + ${i}u))`, ', ')});`;
  return `
fn seenKeys(key: u32, limit: u32) -> vec4<bool> { return vec4u(key, key + 1u, key + 2u, key + 3u) < vec4u(limit); }
fn scoresOf(products: vec4f, seen: vec4<bool>) -> vec4f { return select(vec4f(${LOWEST}), products * args.scale, seen); }
${dropout ? `${KEPT}\nfn keptKeys(flat: vec2u, key: u32) -> vec4f { ${kept} }` : ''}`.trim();
}

/** The place of the workgroup and of the lane. */
export const MATRIX_PLACE = `
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let index = group.y * groups.x + group.x;
  if (index >= args.groups) { return; }
  let head = index / args.blocks;
  let subgroup = lane / SUBGROUP;
  let place = lane % SUBGROUP;`.trim();

/** Whether the mask hides something: for a variant without one nothing is looked up. */
export const shownTile = ({ masked }: AttentionVariant, length: string): string => (masked ? `var<workgroup> shownTile: array<vec4<u32>, ${length} / 4u>;` : '');

/** Which keys from `first` on the mask shows, four at a time. */
export function loadShown({ masked }: AttentionVariant, first: string, length: string): string {
  if (!masked) return '';
  const four = times(4, (i) => `u32(keySeen(args.first + head, ${first} + i * 4u + ${i}u))`, ', ');
  return `for (var i = lane; i < ${length} / 4u; i += THREADS) { shownTile[i] = vec4u(${four}); }`;
}

/** Adds to the variable `seen` what the mask says about the four keys from place `key` of the tile on. */
export const andShown = ({ masked }: AttentionVariant, key: string): string => (masked ? ` & (shownTile[(${key}) / 4u] != vec4u())` : '');

/**
 * The rows of the workgroup itself, through the tiles into matrices `<name>Own<step>` of its subgroups. `base` is the first row in the
 * buffer, `seen` whether there is row `row` of them.
 */
export function keepRows(head: MatrixHead, name: string, side: 'left' | 'right', base: string, seen: string): string {
  const { dialect, shape, pitch } = head;
  const order = side === 'left' ? 'row' : 'column';
  return `
  for (var i = lane; i < ROWS * OCTETS; i += THREADS) {
    let row = i / OCTETS;
    var octet = vec4u();
    if (${seen}) { octet = ${name}[(${base} + row) * OCTETS + i % OCTETS]; }
    tiles[row * PITCH + i % OCTETS] = octet;
  }
  workgroupBarrier();
  ${times(headSteps(head), (step) => dialect.load(side, `${name}Own${step}`, 'tiles', `subgroup * SIDE * PITCH + ${step}u * SIDE / 8u`, pitch, order, shape), '\n  ')}
  workgroupBarrier();`;
}

export interface Staging {
  readonly declare: string;
  /** Rows from `start` on, into registers: they are on their way while the block before is computed. */
  fetch(start: string): string;
  /** Into the tiles: the first operand's block, then the second's. */
  readonly stash: string;
}

/** Blocks of two operands. `base`: the head's first row in the buffers; `seen`: whether there is row `other` of it. What is not is zero. */
export function stageRows({ block, D, subgroups, subgroupSize }: MatrixHead, names: readonly [string, string], base: string, seen: string): Staging {
  const [octets, threads] = [(block * D) / HALVES, subgroups * subgroupSize];
  const steps = Math.ceil(octets / threads);
  const inside = (step: number): string => ((step + 1) * threads <= octets ? '' : `i < BLOCK * OCTETS`);
  const each = (step: number, code: (name: string, n: number) => string): string => names.map((name, n) => code(`${name}Next${step}`, n)).join(' ');
  return {
    declare: times(steps, (step) => each(step, (name) => `var ${name} = vec4u();`), '\n  '),
    fetch: (start) => times(steps, (step) => `{
      let i = lane + ${step * threads}u;
      let other = ${start} + i / OCTETS;
      let at = (${base} + other) * OCTETS + i % OCTETS;
      ${each(step, (name) => `${name} = vec4u();`)}
      if (${[inside(step), seen].filter(Boolean).join(' && ')}) { ${each(step, (name, n) => `${name} = ${names[n]}[at];`)} }
    }`, ' '),
    stash: times(steps, (step) => `{
      let i = lane + ${step * threads}u;
      let at = i / OCTETS * PITCH + i % OCTETS;
      ${inside(step) && `if (${inside(step)}) `}{ ${each(step, (name, n) => `tiles[at + ${n}u * BLOCK * PITCH] = ${name};`)} }
    }`, ' '),
  };
}

/** Blocks of keys and values of a workgroup of queries: those that the last of them sees, and the mask shows. */
export const stageKeys = (head: MatrixHead, { masked }: AttentionVariant): Staging =>
  stageRows(head, ['k', 'v'], 'head * args.keys', `other < end${masked ? ' && keySeen(args.first + head, other)' : ''}`);

export interface BlockSweep {
  /** WGSL: the first row of the other side, and where it ends. */
  readonly from: string;
  readonly to: string;
  /** WGSL that stages what is wanted of the block besides its rows. */
  readonly besides: string;
  /** See multiplyBlock. */
  readonly kept: 'left' | 'right';
  readonly products: readonly MatrixProduct[];
  /** WGSL of what becomes of the scores, which all lanes see. */
  readonly visit: string;
}

/** Takes the workgroup past the blocks of the other side: each is staged while the one before is computed, and multiplied with what is kept. */
export function sweepBlocks(head: MatrixHead, staging: Staging, { from, to, besides, kept, products, visit }: BlockSweep): string {
  return `${staging.declare}
  ${staging.fetch(from)}
  for (var start = ${from}; start < ${to}; start += BLOCK) {
    workgroupBarrier();
    ${staging.stash}
    ${besides}
    workgroupBarrier();
    ${staging.fetch('(start + BLOCK)')}
    ${multiplyBlock(head, kept, products)}
    workgroupBarrier();
    ${visit}
  }`;
}

type MatrixProduct = readonly [scores: string, own: string, tile: number];

/**
 * Scores of all the block as they leave the matrices: per entry the array, the rows that a subgroup keeps, and whether the tile is the first or the second
 * operand of the block. Queries are on the left.
 */
function multiplyBlock(head: MatrixHead, kept: 'left' | 'right', products: readonly MatrixProduct[]): string {
  const { dialect, shape, pitch, scorePitch } = head;
  const [side, order] = kept === 'left' ? (['right', 'column'] as const) : (['left', 'row'] as const);
  const to = kept === 'left' ? 't * SIDE / 4u' : 't * SIDE * SCORE_PITCH';
  const product = ([scores, own, tile]: MatrixProduct): string => `
      ${dialect.zero(`${scores}Matrix`, shape)}
      ${times(headSteps(head), (step) => `${dialect.load(side, `${scores}Other${step}`, 'tiles', `(${tile}u * BLOCK + t * SIDE) * PITCH + ${step}u * SIDE / 8u`, pitch, order, shape)}
      ${kept === 'left' ? dialect.accumulate(`${scores}Matrix`, `${own}Own${step}`, `${scores}Other${step}`) : dialect.accumulate(`${scores}Matrix`, `${scores}Other${step}`, `${own}Own${step}`)}`, '\n      ')}
      ${dialect.store(scores, `area * SCORE_PITCH + ${to}`, `${scores}Matrix`, scorePitch)}`;
  return `for (var t = 0u; t < BLOCK / SIDE; t++) {${products.map(product).join('')}
    }`;
}

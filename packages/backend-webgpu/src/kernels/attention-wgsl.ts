// What the kernels of attention and of its gradient share: how a head is cut into tiles, and the WGSL that moves them. A lane keeps
// one row of its own side (a query, a key) in registers; rows of the other side pass by in workgroup memory, a block at a time, and
// every lane reads the same of them. Where a row is too long for the registers of a lane, several lanes share it.
import type { DType } from '@xmoe/core';
import { wgslType, type BufferType } from '../runtime/program.js';
import { RANDOM_BITS_WGSL, WIDE_WGSL } from './math-wgsl.js';

/** Threads of one workgroup: fewer where there are only a few rows. */
const MOST_THREADS = 128;
const FEWEST_THREADS = 32;
/** vec4 registers that the rows of one lane may take. */
const REGISTERS = 32;
/** Bytes of the two tiles in workgroup memory. */
const TILE_BYTES = 8192;
const LONGEST_BLOCK = 32;
/** Scores that lanes which share a row exchange at once. */
const BATCH_SCORES = 8;

export interface HeadTiling {
  readonly D: number;
  /** Of one workgroup. */
  readonly threads: number;
  /** vec4 per row, the last one perhaps partly filled. */
  readonly quads: number;
  /** Rows are read as vec4. */
  readonly aligned: boolean;
  /** Lanes that share a row: lane p of them has the quads p, p + parts, … */
  readonly parts: number;
  /** Quads of one lane. */
  readonly own: number;
  /** Sums that a lane makes of its part of a score: with `parts`, the same number for all kernels on heads of this size. */
  readonly shares: number;
  /** Rows of one workgroup. */
  readonly rows: number;
  /** Rows of the other side in workgroup memory. */
  readonly block: number;
  /** Of them, those whose scores lanes that share a row add up at once. */
  readonly batch: number;
}

/** Rows that a lane holds at most, in any of the kernels. */
const MOST_ROWS = 4;

function partsOf(quads: number, held: number): number {
  return Math.min(FEWEST_THREADS, 2 ** Math.max(0, Math.ceil(Math.log2((quads * held) / REGISTERS))));
}

/**
 * Tiles for heads of size `D` with `length` rows on the side of the lanes, of which a lane holds `held` rows (operands and sums)
 * and makes `scores` scores per pair.
 */
export function tileHead(D: number, length: number, held: number, scores: number): HeadTiling {
  const quads = Math.max(1, Math.ceil(D / 4));
  const parts = partsOf(quads, held);
  const own = Math.ceil(quads / parts);
  const longest = 2 ** Math.floor(Math.log2(TILE_BYTES / (2 * 16 * parts * own)));
  const block = Math.max(1, Math.min(LONGEST_BLOCK, longest));
  const threads = Math.max(FEWEST_THREADS, Math.min(MOST_THREADS, 2 ** Math.ceil(Math.log2(Math.max(1, length * parts)))));
  return {
    D, threads, quads, aligned: D > 0 && D % 4 === 0, parts, own, shares: partsOf(quads, MOST_ROWS) / parts, rows: threads / parts, block,
    batch: Math.min(BATCH_SCORES / scores, block),
  };
}

/** The type of a buffer of rows of the head. */
export function headType({ aligned }: HeadTiling, dtype: DType): BufferType {
  return (aligned ? `vec4<${wgslType(dtype)}>` : wgslType(dtype)) as BufferType;
}

/** Code for each index below `count`, joined by lines or by `separator`. */
export function times(count: number, code: (index: number) => string, separator = '\n'): string {
  return Array.from({ length: count }, (_, index) => code(index)).join(separator);
}

/** Constants, and \`sumOf\` for a vec4. */
export function tilingWgsl({ threads, parts, own, rows, block, batch, quads, D }: HeadTiling): string {
  return `
const THREADS = ${threads}u;
const PARTS = ${parts}u;
const WIDTH = ${parts * own}u;
const ROWS = ${rows}u;
const BLOCK = ${block}u;
const BATCH = ${batch}u;
const QUADS = ${quads}u;
const SIZE = ${D}u;
fn sumOf(v: vec4f) -> f32 { return (v.x + v.y) + (v.z + v.w); }`.trim();
}

/** \`read_<name>(row, quad)\`: four elements of a row of the buffer as floats, 0 beyond its end. */
export function readerWgsl({ aligned, D }: HeadTiling, name: string): string {
  const head = `fn read_${name}(row: u32, quad: u32) -> vec4f {`;
  if (aligned) return `${head} if (quad >= QUADS) { return vec4f(); } return vec4f(${name}[row * QUADS + quad]); }`;
  const element = (index: number): string => `if (quad * 4u + ${index}u < SIZE) { values.${'xyzw'[index]} = f32(${name}[at + ${index}u]); }`;
  return `${head}\n  let at = row * SIZE + quad * 4u;\n  var values = vec4f();\n  ${times(Math.min(4, D), element, '\n  ')}\n  return values;\n}`;
}

/** \`write_<name>(row, quad, values)\`: the reverse. */
export function writerWgsl({ aligned, D }: HeadTiling, name: string, dtype: DType): string {
  const type = wgslType(dtype);
  const head = `fn write_${name}(row: u32, quad: u32, values: vec4f) {`;
  if (aligned) return `${head} if (quad < QUADS) { ${name}[row * QUADS + quad] = vec4<${type}>(values); } }`;
  const element = (index: number): string => `if (quad * 4u + ${index}u < SIZE) { ${name}[at + ${index}u] = ${type}(values.${'xyzw'[index]}); }`;
  return `${head}\n  let at = row * SIZE + quad * 4u;\n  ${times(Math.min(4, D), element, '\n  ')}\n}`;
}

/**
 * Fills the workgroup arrays \`<name>Tile\` with the rows from \`start\` of \`count\`, zeros beyond; \`base\` is row 0 of the head. Those of q are
 * scaled.
 */
export function loadTiles(names: readonly string[], base: string, count: string): string {
  const each = (code: (name: string) => string): string => names.map(code).join(' ');
  return `
    for (var i = lane; i < BLOCK * WIDTH; i += THREADS) {
      let other = start + i / WIDTH;
      ${each((name) => `var ${name}Quad = vec4f();`)}
      if (other < ${count}) { ${each((name) => `${name}Quad = read_${name}(${base} + other, i % WIDTH)${name === 'q' ? ' * args.scale' : ''};`)} }
      ${each((name) => `${name}Tile[i] = ${name}Quad;`)}
    }`;
}

export function tilesWgsl(names: readonly string[]): string {
  return names.map((name) => `var<workgroup> ${name}Tile: array<vec4f, BLOCK * WIDTH>;`).join('\n');
}

/** The lane's quad \`index\` of row \`j\` of a tile. */
export function tileQuad({ parts }: HeadTiling, name: string, index: number): string {
  return `${name}Tile[j * WIDTH + ${index * parts}u + part]`;
}

export interface Sweep {
  /** Per score its name, the registers of the lane's row, and the tile whose row \`j\` they are multiplied with. */
  readonly scores: readonly (readonly [name: string, registers: string, tile: string])[];
  /** WGSL: whether the lane's row and row \`start + j\` of the other side see each other. */
  readonly seen: string;
  /** How many rows of the tiles there are: WGSL, the same for all lanes. */
  readonly count: string;
  readonly kept: Dropout;
  /** What happens to a pair that sees each other, from its scores and the factor \`kept\`. */
  readonly visit: string;
}

/**
 * The sum of a power of two of terms, halves by remainder: however the terms are spread over lanes and shares, it adds them in one
 * order. So all kernels make the same bits of a score; a gradient from scores that differ in the last bit would be off by a
 * factor, once scores are as large as a million.
 */
function treeSum(count: number, term: (index: number) => string): string {
  const node = (index: number, step: number): string => (step === count ? term(index) : `(${node(index, 2 * step)} + ${node(index + step, 2 * step)})`);
  return node(0, 1);
}

/** Takes the lane's row past all rows of the tiles. Lanes that share a row add up their shares of a batch of scores first. */
export function sweepWgsl(tiling: HeadTiling, { scores, seen, count, kept, visit }: Sweep): string {
  const { parts, own, shares } = tiling;
  const quads = Array.from({ length: own }, (_, i) => i);
  const share = (registers: string, tile: string): string => treeSum(shares, (of) => {
    const products = quads.filter((i) => i % shares === of).map((i) => `${registers}${i} * ${tileQuad(tiling, tile, i)}`);
    return products.length === 0 ? '0.0' : `sumOf(${products.join(' + ')})`;
  });
  if (parts === 1) {
    return `
    for (var j = 0u; j < ${count}; j++) {
      ${kept.prepare}
      if (${seen}) {
        ${kept.factor}
        ${scores.map(([name, registers, tile]) => `let ${name} = ${share(registers, tile)};`).join(' ')}
        ${visit}
      }
    }`;
  }
  const slot = (n: number, lane: string): string => `shares[${lane} * SHARES + (j - done) * ${scores.length}u + ${n}u]`;
  return `
    for (var done = 0u; done < ${count}; done += BATCH) {
      for (var j = done; j < done + BATCH; j++) { ${scores.map(([, registers, tile], n) => `${slot(n, 'lane')} = ${share(registers, tile)};`).join(' ')} }
      ${kept.prepare}
      workgroupBarrier();
      for (var j = done; j < min(done + BATCH, ${count}); j++) {
        if (${seen}) {
          ${kept.factor}
          ${scores.map(([name], n) => `let ${name} = ${treeSum(parts, (mate) => slot(n, `(lane - part + ${mate}u)`))};`).join(' ')}
          ${visit}
        }
      }
      workgroupBarrier();
    }`;
}

/** Where lanes that share a row put their shares of \`scores\` scores per pair. */
export function sharesWgsl({ threads, parts, batch }: HeadTiling, scores: number): string {
  // Odd, so that neighbours do not meet in a memory bank.
  const stride = scores * batch + 1 - ((scores * batch) % 2);
  return parts === 1 ? '' : `const SHARES = ${stride}u;\nvar<workgroup> shares: array<f32, ${threads * stride}>;`;
}

export interface Dropout {
  /** Functions and workgroup memory. */
  readonly declare: string;
  /** Before the batch, or before each pair where a lane has its row alone. */
  readonly prepare: string;
  /** Sets \`kept\`, the factor on the probability of the pair. */
  readonly factor: string;
}

/**
 * Dropout of the pairs of the lane's row, or factors of 1. \`flat\`: WGSL of the flat index, a vec2u, of the pair with row \`start + j\`.
 * Lanes that share a row share the work. \`pairs\`: indices of even j are even, and that of j + 1 is the next.
 */
export function dropoutWgsl({ parts, batch, block, rows }: HeadTiling, used: boolean, flat: string, pairs: boolean): Dropout {
  if (!used) return { declare: '', prepare: '', factor: 'let kept = 1.0;' };
  const paired = pairs && block % 2 === 0;
  if (parts === 1) {
    return paired
      ? {
        declare: `${KEPT}\nvar<private> keptPairs: vec2f;`,
        prepare: `if (j % 2u == 0u) { keptPairs = keptPair(${flat}); }`,
        factor: 'let kept = select(keptPairs.x, keptPairs.y, j % 2u == 1u);',
      }
      : { declare: KEPT, prepare: '', factor: `let kept = keptOne(${flat});` };
  }
  const stride = batch + 1 - (batch % 2);
  const slot = `keptTile[row * ${stride}u + j - done]`;
  return {
    declare: `${KEPT}\nvar<workgroup> keptTile: array<f32, ${rows * stride}>;`,
    prepare: paired
      ? `for (var j = done + 2u * part; j < done + BATCH; j += 2u * PARTS) {
        let pair = keptPair(${flat});
        ${slot} = pair.x;
        ${slot.replace('j - done', 'j - done + 1u')} = pair.y;
      }`
      : `for (var j = done + part; j < done + BATCH; j += PARTS) { ${slot} = keptOne(${flat}); }`,
    factor: `let kept = ${slot};`,
  };
}

/** Needs \`randomKey()\`. */
export const KEPT = `
${RANDOM_BITS_WGSL}
${WIDE_WGSL}
fn keptOf(bits: vec2u) -> vec2f { return select(vec2f(args.boost), vec2f(), bits < vec2u(args.dropBelow)); }
fn keptPair(at: vec2u) -> vec2f { return keptOf(randomPair(randomKey(), args.stream, at)); }
fn keptOne(at: vec2u) -> f32 { return keptOf(vec2u(randomBits(randomKey(), args.stream, at))).x; }`.trim();

// WGSL of a tiled matrix product by subgroup matrices: operands are staged in workgroup memory as they are stored, in float16, subgroups
// multiply and accumulate in float32. Results come back through workgroup memory, since matrices have no elements that a thread
// could reach: from there on a product's finishing code is that of the plain tiles.
//
// A factor per row (TileOperand.scale) is applied before the rounding to float16.
import type { ProgramSpec } from '../../runtime/program.js';
import { NOWHERE, operandBuffer, operandFunctions, PLACE } from './operand-wgsl.js';
import { tileEntry, type Product } from './product.js';
import { blockCount, pitchOf, stageOf, type StageShape } from './stage-wgsl.js';
import { threadsOf, type MatrixTile } from './tile-config.js';

export function matrixTileProgram(product: Product, tile: MatrixTile): ProgramSpec {
  const { a, b } = product;
  const { dialect, shape } = tile;
  return {
    buffers: { [a.buffer]: operandBuffer(a), [b.buffer]: operandBuffer(b), ...product.buffers },
    args: { ...product.args, tileK: 'u32' },
    enable: dialect.enable,
    directives: dialect.directives,
    code: [
      constants(product, tile), dialect.declarations(shape), operandFunctions('a', a, 'f16'), operandFunctions('b', b, 'f16'),
      product.declarations, mainFunction(product, tile),
    ].join('\n'),
  };
}

/** Rows and columns of one subgroup, and the matrices in them. */
function areaOf({ tileM, tileN, subgroupsM, subgroupsN, shape }: MatrixTile) {
  const [areaM, areaN] = [tileM / subgroupsM, tileN / subgroupsN];
  return { areaM, areaN, down: range(areaM / shape.M), across: range(areaN / shape.N) };
}

function constants({ a, b }: Product, tile: MatrixTile): string {
  const { tileM, tileN, tileK, subgroupsM, subgroupsN, shape } = tile;
  const halves = (operand: Product['a'], size: number): number => (operand.rows === 'outer' ? size : tileK) * pitchOf(operand, { tile: size, tileK });
  return `${NOWHERE}
const TILE_M = ${tileM}u;
const TILE_N = ${tileN}u;
const TILE_K = ${tileK}u;
const THREADS = ${threadsOf(tile)}u;
const SUBGROUP = ${tile.subgroupSize}u;
var<workgroup> aTile: array<f16, ${halves(a, tileM)}>;
var<workgroup> bTile: array<f16, ${halves(b, tileN)}>;
var<workgroup> results: array<f32, ${subgroupsM * subgroupsN * shape.M * shape.N}>;
${PLACE}`;
}

function mainFunction(product: Product, tile: MatrixTile): string {
  const { tileM, tileN, tileK, dialect, shape } = tile;
  const threads = threadsOf(tile);
  const { down, across } = areaOf(tile);
  const aShape: StageShape = { layout: 'stored', tile: tileM, tileK, threads, shift: 0, rolled: false };
  const aStage = stageOf('a', product.a, aShape);
  const bStage = stageOf('b', product.b, { ...aShape, tile: tileN, shift: blockCount('a', product.a, aShape) });
  const fetch = (k0: string): string => `${aStage.fetch(k0)}\n    ${bStage.fetch(k0)}`;
  return `
${tileEntry(product, threads)}
  let subgroup = lane / SUBGROUP;
  let subgroupRow = subgroup / ${tile.subgroupsN}u;
  let subgroupColumn = subgroup % ${tile.subgroupsN}u;
  ${aStage.prepare}
  ${bStage.prepare}
  ${down.flatMap((i) => across.map((j) => dialect.zero(`c${i}_${j}`, shape))).join(' ')}
  ${product.columnSums ? 'var columnSum = vec4f();' : ''}
  ${fetch('kBegin')}
  for (var k0 = kBegin; k0 < kEnd; k0 += TILE_K) {
    ${aStage.stash('k0')}
    ${bStage.stash('k0')}
    workgroupBarrier();
    ${fetch('(k0 + TILE_K)')}
    for (var k = 0u; k < TILE_K; k += ${shape.K}u) {
      ${multiply(product, tile)}
    }
    ${columnSumStep(product, tile)}
    workgroupBarrier();
  }
  ${down.flatMap((i) => across.map((j) => finishMatrices(product, tile, i, j))).join('\n  ')}
  ${finishColumnSums(product, tile)}
}`.trim();
}

function multiply({ a, b }: Product, tile: MatrixTile): string {
  const { tileM, tileN, tileK, dialect, shape } = tile;
  const { areaM, areaN, down, across } = areaOf(tile);
  const [aPitch, bPitch] = [pitchOf(a, { tile: tileM, tileK }), pitchOf(b, { tile: tileN, tileK })];
  const left = down.map((i) => {
    const row = `(subgroupRow * ${areaM}u + ${i * shape.M}u)`;
    return a.rows === 'outer'
      ? dialect.load('left', `a${i}`, 'aTile', `${row} * ${aPitch}u + k`, aPitch, 'row', shape)
      : dialect.load('left', `a${i}`, 'aTile', `k * ${aPitch}u + ${row}`, aPitch, 'column', shape);
  });
  const right = across.map((j) => {
    const column = `(subgroupColumn * ${areaN}u + ${j * shape.N}u)`;
    return b.rows === 'outer'
      ? dialect.load('right', `b${j}`, 'bTile', `${column} * ${bPitch}u + k`, bPitch, 'column', shape)
      : dialect.load('right', `b${j}`, 'bTile', `k * ${bPitch}u + ${column}`, bPitch, 'row', shape);
  });
  const products = down.flatMap((i) => across.map((j) => dialect.accumulate(`c${i}_${j}`, `a${i}`, `b${j}`)));
  return [...left, ...right, ...products].join('\n      ');
}

/** One matrix of every subgroup, through workgroup memory, to the threads. */
function finishMatrices(product: Product, tile: MatrixTile, i: number, j: number): string {
  const { subgroupsM, subgroupsN, dialect, shape: { M, N } } = tile;
  const { areaM, areaN } = areaOf(tile);
  const quads = (M * N) / 4;
  return `${dialect.store('results', `subgroup * ${M * N}u`, `c${i}_${j}`, N)}
  workgroupBarrier();
  for (var at = lane; at < ${subgroupsM * subgroupsN * quads}u; at += THREADS) {
    let owner = at / ${quads}u;
    let inside = at % ${quads}u;
    let row = m0 + (owner / ${subgroupsN}u) * ${areaM}u + ${i * M}u + inside / ${N / 4}u;
    let column = n0 + (owner % ${subgroupsN}u) * ${areaN}u + ${j * N}u + (inside % ${N / 4}u) * 4u;
    let value = vec4f(${[0, 1, 2, 3].map((part) => `results[at * 4u + ${part}u]`).join(', ')});
    if (row < mEnd && column < nEnd) { ${product.finish('row', 'column', 'value')} }
  }
  workgroupBarrier();`;
}

function columnSumStep({ b, columnSums }: Product, { tileN, tileK }: MatrixTile): string {
  if (!columnSums) return '';
  const pitch = pitchOf(b, { tile: tileN, tileK });
  const four = [0, 1, 2, 3].map((i) => `bTile[k * ${pitch}u + lane * 4u + ${i}u]`).join(', ');
  return `if (${columnSums.when} && lane < ${tileN / 4}u) {
      for (var k = 0u; k < TILE_K; k++) { columnSum += vec4f(vec4h(${four})); }
    }`;
}

function finishColumnSums({ columnSums }: Product, { tileN }: MatrixTile): string {
  if (!columnSums) return '';
  return `{
    let column = n0 + lane * 4u;
    if (${columnSums.when} && lane < ${tileN / 4}u && column < nEnd) { ${columnSums.finish('column', 'columnSum')} }
  }`;
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

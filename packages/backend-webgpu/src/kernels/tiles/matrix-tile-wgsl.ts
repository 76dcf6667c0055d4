// WGSL of a tiled matrix product by subgroup matrices: operands are staged in workgroup memory as they are stored, in float16, subgroups
// multiply and accumulate in float32. Results come back through workgroup memory, since matrices have no elements that a thread
// could reach: from there on a product's finishing code is that of the plain tiles.
//
// A factor per row (TileOperand.scale) is applied before the rounding to float16.
import type { ProgramSpec } from '../../runtime/program.js';
import { FLOATS, HALVES } from '../subgroup-matrix-wgsl.js';
import { NOWHERE, operandBuffer, operandFunctions, PLACE } from './operand-wgsl.js';
import { tileEntry, type Product } from './product.js';
import { blockCount, pitchOf, SCALED_HALVES_WGSL, stageOf, type StageShape } from './stage-wgsl.js';
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
      ...(a.scale || b.scale ? [SCALED_HALVES_WGSL] : []), product.declarations, mainFunction(product, tile),
    ].join('\n'),
  };
}

/** Rows and columns of one subgroup, and the matrices in them. */
function areaOf({ tileM, tileN, subgroupsM, subgroupsN, shape }: MatrixTile) {
  const [areaM, areaN] = [tileM / subgroupsM, tileN / subgroupsN];
  return { areaM, areaN, down: range(areaM / shape.M), across: range(areaN / shape.N) };
}

/** Elements of 8 halves of a step of one operand. */
function stepOf(operand: Product['a'], size: number, tileK: number): number {
  return (operand.rows === 'outer' ? size : tileK) * pitchOf(operand, { tile: size, tileK });
}

function constants({ a, b }: Product, tile: MatrixTile): string {
  const { tileM, tileN, tileK, stages, together, subgroupsM, subgroupsN, shape } = tile;
  return `${NOWHERE}
const TILE_M = ${tileM}u;
const TILE_N = ${tileN}u;
const TILE_K = ${tileK}u;
const THREADS = ${threadsOf(tile)}u;
const SUBGROUP = ${tile.subgroupSize}u;
var<workgroup> aTile: array<vec4<u32>, ${stages * stepOf(a, tileM, tileK)}>;
var<workgroup> bTile: array<vec4<u32>, ${stages * stepOf(b, tileN, tileK)}>;
var<workgroup> results: array<vec4f, ${(together * subgroupsM * subgroupsN * shape.M * shape.N) / FLOATS}>;
${PLACE}`;
}

function mainFunction(product: Product, tile: MatrixTile): string {
  const { tileM, tileN, tileK, stages, dialect, shape } = tile;
  const threads = threadsOf(tile);
  const { down, across } = areaOf(tile);
  const aShape: StageShape = { layout: 'stored', tile: tileM, tileK, threads, shift: 0, rolled: false };
  const aStage = stageOf('a', product.a, aShape);
  const bStage = stageOf('b', product.b, { ...aShape, tile: tileN, shift: blockCount('a', product.a, aShape) });
  const fetch = (k0: string): string => `${aStage.fetch(k0)}\n    ${bStage.fetch(k0)}`;
  const stash = `${aStage.stash('k0', stages === 2 ? 'aNow' : undefined)}\n    ${bStage.stash('k0', stages === 2 ? 'bNow' : undefined)}`;
  const compute = `for (var k = 0u; k < TILE_K; k += ${shape.K}u) {
      ${multiply(product, tile)}
    }
    ${columnSumStep(product, tile)}`;
  return `
${tileEntry(product, threads)}
  let subgroup = lane / SUBGROUP;
  let subgroupRow = subgroup / ${tile.subgroupsN}u;
  let subgroupColumn = subgroup % ${tile.subgroupsN}u;
  ${aStage.prepare}
  ${bStage.prepare}
  ${down.flatMap((i) => across.map((j) => dialect.zero(`c${i}_${j}`, shape))).join(' ')}
  ${product.columnSums ? 'var columnSum = vec4f();' : ''}
  ${stages === 2 ? 'var aNow = 0u; var bNow = 0u;' : ''}
  ${fetch('kBegin')}
  ${stages === 2 ? `${stash}
  workgroupBarrier();` : ''}
  for (var k0 = kBegin; k0 < kEnd; k0 += TILE_K) {
    ${stages === 2 ? `${fetch('(k0 + TILE_K)')}
    ${compute}
    aNow = ${stepOf(product.a, tileM, tileK)}u - aNow; bNow = ${stepOf(product.b, tileN, tileK)}u - bNow;
    ${stash}
    workgroupBarrier();` : `${stash}
    workgroupBarrier();
    ${fetch('(k0 + TILE_K)')}
    ${compute}
    workgroupBarrier();`}
  }
  ${down.flatMap((i) => range(across.length / tile.together).map((turn) => finishMatrices(product, tile, i, turn * tile.together))).join('\n  ')}
  ${finishColumnSums(product, tile)}
}`.trim();
}

function multiply({ a, b }: Product, tile: MatrixTile): string {
  const { tileM, tileN, tileK, stages, dialect, shape } = tile;
  const { areaM, areaN, down, across } = areaOf(tile);
  const [aPitch, bPitch] = [pitchOf(a, { tile: tileM, tileK }), pitchOf(b, { tile: tileN, tileK })];
  const [aFirst, bFirst] = stages === 2 ? ['aNow + ', 'bNow + '] : ['', ''];
  const left = down.map((i) => {
    const row = `(subgroupRow * ${areaM}u + ${i * shape.M}u)`;
    return a.rows === 'outer'
      ? dialect.load('left', `a${i}`, 'aTile', `${aFirst}${row} * ${aPitch}u + k / ${HALVES}u`, aPitch, 'row', shape)
      : dialect.load('left', `a${i}`, 'aTile', `${aFirst}k * ${aPitch}u + ${row} / ${HALVES}u`, aPitch, 'column', shape);
  });
  const right = across.map((j) => {
    const column = `(subgroupColumn * ${areaN}u + ${j * shape.N}u)`;
    return b.rows === 'outer'
      ? dialect.load('right', `b${j}`, 'bTile', `${bFirst}${column} * ${bPitch}u + k / ${HALVES}u`, bPitch, 'column', shape)
      : dialect.load('right', `b${j}`, 'bTile', `${bFirst}k * ${bPitch}u + ${column} / ${HALVES}u`, bPitch, 'row', shape);
  });
  const products = down.flatMap((i) => across.map((j) => dialect.accumulate(`c${i}_${j}`, `a${i}`, `b${j}`)));
  return [...left, ...right, ...products].join('\n      ');
}

/** Matrices beside each other of every subgroup, from the `first` on, through workgroup memory to the threads. */
function finishMatrices(product: Product, tile: MatrixTile, i: number, first: number): string {
  const { subgroupsM, subgroupsN, together, dialect, shape: { M, N } } = tile;
  const { areaM, areaN } = areaOf(tile);
  const pitch = (together * N) / FLOATS;
  const quads = M * pitch;
  return `${range(together).map((j) => dialect.store('results', `subgroup * ${quads}u + ${(j * N) / FLOATS}u`, `c${i}_${first + j}`, pitch)).join(' ')}
  workgroupBarrier();
  for (var at = lane; at < ${subgroupsM * subgroupsN * quads}u; at += THREADS) {
    let owner = at / ${quads}u;
    let inside = at % ${quads}u;
    let row = m0 + (owner / ${subgroupsN}u) * ${areaM}u + ${i * M}u + inside / ${pitch}u;
    let column = n0 + (owner % ${subgroupsN}u) * ${areaN}u + ${first * N}u + (inside % ${pitch}u) * 4u;
    let value = results[at];
    if (row < mEnd && column < nEnd) { ${product.finish('row', 'column', 'value')} }
  }
  workgroupBarrier();`;
}

function columnSumStep({ b, columnSums }: Product, { tileN, tileK, stages }: MatrixTile): string {
  if (!columnSums) return '';
  const pitch = pitchOf(b, { tile: tileN, tileK });
  return `if (${columnSums.when} && lane < ${tileN / 4}u) {
      for (var k = 0u; k < TILE_K; k++) {
        let both = bTile[${stages === 2 ? 'bNow + ' : ''}k * ${pitch}u + lane / 2u];
        columnSum += vec4f(bitcast<vec4h>(select(both.xy, both.zw, lane % 2u == 1u)));
      }
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

// WGSL of a tiled matrix product: workgroups stage pieces of both operands in workgroup memory as [tileK][tile] in float32, threads
// keep their part of the product in registers. One generator for all products; what differs comes as a `Product`.
//
// Every element of the product is one chain of fused multiply-adds in ascending k from 0, whatever the tile: which tile is
// taken never changes a result.
import type { ProgramSpec } from '../../runtime/program.js';
import { NOWHERE, operandBuffer, operandFunctions, PLACE } from './operand-wgsl.js';
import { tileEntry, type Product } from './product.js';
import { blockCount, stageOf, type StageShape } from './stage-wgsl.js';
import { PADDING, threadsOf, type PlainTile } from './tile-config.js';

export function plainTileProgram(product: Product, config: PlainTile): ProgramSpec {
  const { a, b } = product;
  return {
    buffers: { [a.buffer]: operandBuffer(a), [b.buffer]: operandBuffer(b), ...product.buffers },
    args: { ...product.args, tileK: 'u32' },
    code: [
      constants(config),
      operandFunctions('a', a, 'f32'),
      operandFunctions('b', b, 'f32'),
      product.declarations,
      mainFunction(product, config),
    ].join('\n'),
  };
}

function constants(config: PlainTile): string {
  const { tileM, tileN, tileK } = config;
  return `${NOWHERE}
const TILE_M = ${tileM}u;
const TILE_N = ${tileN}u;
const TILE_K = ${tileK}u;
const THREADS = ${threadsOf(config)}u;
var<workgroup> aTile: array<vec4f, ${tileK * (tileM / 4 + PADDING)}>;
var<workgroup> bTile: array<vec4f, ${tileK * (tileN / 4 + PADDING)}>;
${PLACE}`;
}

function mainFunction(product: Product, config: PlainTile): string {
  const { tileM, tileN, tileK, rolled } = config;
  const threads = threadsOf(config);
  const aShape: StageShape = { layout: 'columns', tile: tileM, tileK, threads, shift: 0, rolled };
  const aStage = stageOf('a', product.a, aShape);
  // The lanes after those that fetch a begin with b.
  const bStage = stageOf('b', product.b, { ...aShape, tile: tileN, shift: blockCount('a', product.a, aShape) });
  const fetch = (k0: string): string => `${aStage.fetch(k0)}\n${bStage.fetch(k0)}`;
  return `
${tileEntry(product, threads)}
  let tx = lane % ${tileN / config.threadN}u;
  let ty = lane / ${tileN / config.threadN}u;
  ${aStage.prepare}
  ${bStage.prepare}
  ${accumulators(config).map((name) => `var ${name} = vec4f();`).join(' ')}
  ${product.columnSums ? 'var columnSum = vec4f();' : ''}
  ${config.prefetch ? fetch('kBegin') : ''}
  for (var k0 = kBegin; k0 < kEnd; k0 += TILE_K) {
    ${config.prefetch ? '' : fetch('k0')}
    ${aStage.stash('k0')}
    ${bStage.stash('k0')}
    workgroupBarrier();
    ${config.prefetch ? fetch('(k0 + TILE_K)') : ''}
    for (var k = 0u; k < ${rolled ? 'args.tileK' : 'TILE_K'}; k++) {
      ${multiply(config)}
    }
    ${columnSumStep(product, config)}
    workgroupBarrier();
  }
  ${finishAll(product, config)}
}`.trim();
}

/** Of the thread's rows chunk·4 + r and column chunks. */
function accumulators({ threadM, threadN }: PlainTile): string[] {
  return range(threadM).flatMap((row) => range(threadN / 4).map((column) => `c${row}_${column}`));
}

/** Chunks of 4 of one thread lie a whole row of threads apart: its neighbours' chunks are next to its own. */
function multiply({ tileM, tileN, threadM, threadN }: PlainTile): string {
  const loadA = range(threadM / 4).map((i) => `let a${i} = aTile[k * ${tileM / 4 + PADDING}u + ${i * (tileM / threadM)}u + ty];`);
  const loadB = range(threadN / 4).map((j) => `let b${j} = bTile[k * ${tileN / 4 + PADDING}u + ${j * (tileN / threadN)}u + tx];`);
  const sums = range(threadM).flatMap((row) =>
    range(threadN / 4).map((j) => `c${row}_${j} = fma(vec4f(a${row >> 2}.${'xyzw'[row & 3]}), b${j}, c${row}_${j});`));
  return [...loadA, ...loadB, ...sums].join('\n      ');
}

function columnSumStep({ columnSums }: Product, { tileN }: PlainTile): string {
  if (!columnSums) return '';
  return `if (${columnSums.when} && lane < ${tileN / 4}u) {
      for (var k = 0u; k < args.tileK; k++) { columnSum += bTile[k * ${tileN / 4 + PADDING}u + lane]; }
    }`;
}

function finishAll(product: Product, { tileM, tileN, threadM, threadN }: PlainTile): string {
  const pieces = range(threadM).flatMap((row) => range(threadN / 4).map((j) => {
    const chunk = `${4 * (row >> 2) * (tileM / threadM)}u`;
    return `{
    let row = m0 + ${chunk} + ty * 4u + ${row & 3}u;
    let column = n0 + ${4 * j * (tileN / threadN)}u + tx * 4u;
    if (row < mEnd && column < nEnd) { ${product.finish('row', 'column', `c${row}_${j}`)} }
  }`;
  }));
  const { columnSums } = product;
  if (columnSums) {
    pieces.push(`{
    let column = n0 + lane * 4u;
    if (${columnSums.when} && lane < ${tileN / 4}u && column < nEnd) { ${columnSums.finish('column', 'columnSum')} }
  }`);
  }
  return pieces.join('\n  ');
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

// groupedMatmul and groupedLinear: one launch over (segment, row tile, column tile) of all experts, with gather on load and with bias
// and activation in the epilogue. Operands beyond the largest binding: windows over experts, rows and the rows gathered from.
import type { Activation, Kernels, Operand } from '@xmoe/core';
import { reads, writes, type BufferSpec, type ScalarType } from '../runtime/program.js';
import type { Runtime } from '../runtime/runtime.js';
import { activationWgsl } from './activation-wgsl.js';
import { readWidth, type TileOperand } from './tiles/operand-wgsl.js';
import { floatElement, isVector, storeFunction, type Product } from './tiles/product.js';
import { SEGMENT_ARGS, SEGMENT_WGSL, unitCount } from './tiles/segment-wgsl.js';
import { tileName, type Tile } from './tiles/tile-config.js';
import { tileProgram } from './tiles/tile-program.js';
import type { Tilings } from './tiles/tilings.js';
import { NO_VIEW, rangesOf, rowsPerBinding, viewOf, type Range } from './tiles/windows.js';

interface Call {
  readonly primitive: 'groupedMatmul' | 'groupedLinear';
  readonly x: Operand;
  readonly rows: Operand | null;
  readonly w: Operand;
  readonly bias: Operand | null;
  readonly offsets: Operand;
  readonly out: Operand;
  readonly pre: Operand | null;
  readonly transposeW: boolean;
  readonly activation: Activation;
}

export function groupedLinearKernels(runtime: Runtime, tilings: Tilings) {
  return {
    groupedMatmul: ({ x, w, offsets }, { out }, { transposeW }) =>
      multiply(runtime, tilings, { primitive: 'groupedMatmul', x, rows: null, w, bias: null, offsets, out, pre: null, transposeW, activation: 'none' }),
    groupedLinear: ({ x, rows, w, bias, offsets }, { out, pre }, { transposeW, activation }) =>
      multiply(runtime, tilings, { primitive: 'groupedLinear', x, rows, w, bias, offsets, out, pre, transposeW, activation }),
  } satisfies Partial<Kernels>;
}

function multiply(runtime: Runtime, tilings: Tilings, call: Call): void {
  const { x, rows, w, out, pre } = call;
  const { traits } = runtime;
  const [R, M] = out.shape as [number, number];
  const [X, K] = x.shape as [number, number];
  if (R * M === 0) return;
  const steps = [rowsPerBinding(traits, out, M), pre ? rowsPerBinding(traits, pre, M) : Infinity, rows ? rowsPerBinding(traits, rows, 1) : rowsPerBinding(traits, x, K)];
  const sources = rows ? rangesOf(X, rowsPerBinding(traits, x, K)) : [{ begin: 0, end: X }];
  for (const group of rangesOf(w.shape[0]!, rowsPerBinding(traits, w, K * M))) {
    for (const row of rangesOf(R, Math.min(...steps))) {
      for (const source of sources) launch(runtime, tilings, call, group, row, source);
    }
  }
}

function launch(runtime: Runtime, tilings: Tilings, call: Call, group: Range, row: Range, source: Range): void {
  const { primitive, x, rows, w, bias, offsets, out, pre, transposeW } = call;
  const { traits } = runtime;
  const [G, K, M] = [w.shape[0]!, x.shape[1]!, out.shape[1]!];
  const [groups, count] = [group.end - group.begin, row.end - row.begin];
  const tail = group.end === G;
  const tile = tilings.pick({
    kind: 'linear', half: x.dtype === 'float16', layout: transposeW ? 'oo' : 'oi', M: Math.ceil(count / Math.max(1, G)), N: M, K, count: groups,
  });
  const program = runtime.program(`${primitive} ${tileName(tile)} ${variantOf(call, tile)}`, () => tileProgram(linearProduct(call, tile), tile));
  const [tilesM, tilesN] = [unitCount(count, tile.tileM, groups, tail), Math.ceil(M / tile.tileN)];
  const xRange = rows ? source : row;
  const views = {
    x: viewOf(traits, x, xRange.begin * K, xRange.end * K),
    w: viewOf(traits, w, group.begin * K * M, group.end * K * M),
    out: viewOf(traits, out, row.begin * M, row.end * M),
    pre: pre ? viewOf(traits, pre, row.begin * M, row.end * M) : NO_VIEW,
    rows: rows ? viewOf(traits, rows, row.begin, row.end) : NO_VIEW,
  };
  runtime.run(program, {
    x: views.x.binding, w: views.w.binding, offsets, out: views.out.binding, pre: views.pre.binding, rows: views.rows.binding, bias,
  }, {
    tiles: tilesM * tilesN, tilesM, tilesN, tileK: tile.tileK, K, M,
    groupFirst: group.begin, groups, tail: tail ? 1 : 0, rowFirst: row.begin, rows: count,
    aBase: views.x.base, aPitch: K, aFirst: source.begin, aLast: source.end, aIndices: views.rows.base, sources: x.shape[0]!,
    bBase: views.w.base, bPitch: transposeW ? K : M, outBase: views.out.base, preBase: views.pre.base,
  }, runtime.fold(tilesM * tilesN), 2 * count * K * M);
}

function variantOf({ x, rows, bias, out, pre, transposeW, activation, w }: Call, tile: Tile): string {
  const [K, M] = [readWidth(tile, floatElement(x.dtype), x.shape[1]!), readWidth(tile, floatElement(w.dtype), out.shape[1]!)];
  const flags = [rows ? 'rows' : '', bias ? `bias ${bias.dtype}` : '', pre ? 'pre' : '', transposeW ? 'transposeW' : '', activation];
  return [x.dtype, w.dtype, out.dtype, `K${K}`, `M${M}`, ...flags].filter(Boolean).join(' ');
}

const ARGS = [
  'tiles', 'tilesM', 'tilesN', 'K', 'M', ...SEGMENT_ARGS, 'aBase', 'aPitch', 'aFirst', 'aLast', 'aIndices', 'sources', 'bBase', 'bPitch', 'outBase', 'preBase',
] as const;

function linearProduct({ x, rows, w, bias, out, pre, transposeW, activation }: Call, tile: Tile): Product {
  const [K, M] = [x.shape[1]!, out.shape[1]!];
  const [xElement, wElement] = [floatElement(x.dtype), floatElement(w.dtype)];
  const wideM = isVector(M);
  const a: TileOperand = { buffer: 'x', element: xElement, rows: 'outer', width: readWidth(tile, xElement, K), ...(rows ? { indices: 'rows' } : {}) };
  const b: TileOperand = { buffer: 'w', element: wElement, rows: transposeW ? 'outer' : 'inner', width: readWidth(tile, wElement, transposeW ? K : M) };
  const element = floatElement(out.dtype);
  const stored: BufferSpec = writes(wideM ? `vec4<${element}>` : element);
  return {
    a, b,
    buffers: {
      offsets: reads('int32'), out: stored, ...(pre ? { pre: stored } : {}), ...(rows ? { rows: reads('int32') } : {}),
      ...(bias ? { bias: reads(wideM ? `vec4<${floatElement(bias.dtype)}>` : bias.dtype) } : {}),
    },
    args: Object.fromEntries(ARGS.map((name): [string, ScalarType] => [name, 'u32'])),
    declarations: [
      SEGMENT_WGSL, activationWgsl(activation, 'vec4<f32>'), storeFunction('out', element, wideM), pre ? storeFunction('pre', element, wideM) : '',
      bias ? biasFunction(wideM) : '', rows ? LIVE_WGSL : '', finishFunction(rows !== null, bias !== null, pre !== null),
    ].join('\n'),
    locate: locate(rows !== null),
    finish: (row, column, value) => `finish(${row}, ${column}, ${value}, segment);`,
  };
}

function locate(gathered: boolean): string {
  return `
  let spot = place(index, args.tilesM, args.tilesN);
  let segment = unitSegment(spot.x, TILE_M, lane);
  let m0 = args.rowFirst + segmentBegin(segment) + (spot.x - firstUnit(segment, TILE_M)) * TILE_M;
  let mEnd = args.rowFirst + segmentEnd(segment);
  if (m0 >= mEnd) { return; }
  let n0 = spot.y * TILE_N;
  let nEnd = args.M;
  let aBase = args.aBase;
  let bBase = args.bBase + (args.groupFirst + segment) * args.K * args.M;
  let kBegin = 0u;
  let isTail = segment == args.groups;
  let kEnd = select(args.K, 0u, isTail${gathered ? ' || !isLive(m0, mEnd, lane)' : ''});`.trim();
}

/** Whether any row of the tile is gathered from somewhere: tiles of empty slots compute nothing. */
const LIVE_WGSL = `
var<workgroup> liveRows: atomic<u32>;
var<workgroup> liveFound: u32;
fn isLive(m0: u32, mEnd: u32, lane: u32) -> bool {
  for (var row = m0 + lane; row < min(m0 + TILE_M, mEnd); row += THREADS) {
    if (aAt(row, mEnd, 0u) != NOWHERE) { atomicStore(&liveRows, 1u); }
  }
  workgroupBarrier();
  if (lane == 0u) { liveFound = atomicLoad(&liveRows); }
  return workgroupUniformLoad(&liveFound) == 1u;
}`.trim();

function biasFunction(vector: boolean): string {
  if (vector) return 'fn biasAt(at: u32, count: u32) -> vec4f { return vec4f(bias[at >> 2u]); }';
  const parts = [0, 1, 2, 3].map((i) => `f32(bias[at + min(${i}u, count - 1u)])`);
  return `fn biasAt(at: u32, count: u32) -> vec4f { return vec4f(${parts.join(', ')}); }`;
}

/** A gathered row is finished by the window that holds its source; one without a source, by the first. */
function finishFunction(gathered: boolean, biased: boolean, kept: boolean): string {
  return `
fn finish(row: u32, column: u32, value: vec4f, segment: u32) {
  var v = value;
  var isEmpty = segment == args.groups;
  ${gathered ? `if (!isEmpty) {
    let source = rows[row + args.aIndices];
    isEmpty = source < 0 || source >= i32(args.sources);
    let isHere = source >= i32(args.aFirst) && source < i32(args.aLast);
    if (!isHere && (!isEmpty || args.aFirst > 0u)) { return; }
  } else if (args.aFirst > 0u) { return; }` : ''}
  ${biased ? `if (!isEmpty) { v += biasAt((args.groupFirst + segment) * args.M + column, args.M - column); }` : ''}
  let at = row * args.M + column;
  ${kept ? 'preStore(args.preBase + at, args.M - column, v);' : ''}
  outStore(args.outBase + at, args.M - column, activate(v));
}`.trim();
}

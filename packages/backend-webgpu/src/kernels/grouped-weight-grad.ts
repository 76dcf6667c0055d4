// groupedMatmulWeightGrad and groupedLinearWeightGrad: one launch over (segment, tile of the weight), rows of both sides by index,
// the bias gradient as column sums of what is staged anyway. Few tiles over long segments: the segments are cut into parts of
// equal length, whose sums are added in order by a second pass. Operands beyond the largest binding: windows, accumulating.
import { sizeOf, type Kernels, type Operand } from '@xmoe/core';
import { reads, wgslType, writes, type ScalarType } from '../runtime/program.js';
import type { Runtime } from '../runtime/runtime.js';
import { readWidth, type ReadWidth, type TileOperand } from './tiles/operand-wgsl.js';
import { floatElement, isVector, storeFunction, type Product } from './tiles/product.js';
import { SEGMENT_ARGS, SEGMENT_WGSL, unitCount } from './tiles/segment-wgsl.js';
import { narrow, segmentPartOf } from './tiles/split.js';
import { tileName, type Tile } from './tiles/tile-config.js';
import { tileProgram } from './tiles/tile-program.js';
import type { Tilings } from './tiles/tilings.js';
import { fitsBinding, NO_VIEW, rangesOf, rowsPerBinding, viewOf, type Range } from './tiles/windows.js';

interface Call {
  readonly primitive: 'groupedMatmulWeightGrad' | 'groupedLinearWeightGrad';
  readonly x: Operand;
  readonly xRows: Operand | null;
  readonly dy: Operand;
  readonly dyRows: Operand | null;
  readonly scale: Operand | null;
  readonly offsets: Operand;
  /** [G, K, M] and [G, M]. */
  readonly dw: Operand;
  readonly dbias: Operand | null;
  /** Rows of the segments. */
  readonly R: number;
}

export function groupedWeightGradKernels(runtime: Runtime, tilings: Tilings) {
  return {
    groupedMatmulWeightGrad: ({ x, dy, offsets }, { out }) =>
      weightGrad(runtime, tilings, { primitive: 'groupedMatmulWeightGrad', x, xRows: null, dy, dyRows: null, scale: null, offsets, dw: out, dbias: null, R: x.shape[0]! }),
    groupedLinearWeightGrad: ({ x, xRows, dy, dyRows, scale, offsets }, { dw, dbias }) => {
      const R = xRows ? xRows.shape[0]! : x.shape[0]!;
      weightGrad(runtime, tilings, { primitive: 'groupedLinearWeightGrad', x, xRows, dy, dyRows, scale, offsets, dw, dbias, R });
    },
  } satisfies Partial<Kernels>;
}

function weightGrad(runtime: Runtime, tilings: Tilings, call: Call): void {
  const { x, dy, dw, dbias, R } = call;
  const [G, K, M] = dw.shape as [number, number, number];
  if (G * M === 0 || (K === 0 && !dbias)) return;
  const everything: Piece = { group: { begin: 0, end: G }, row: { begin: 0, end: R }, xSource: whole(x), dySource: whole(dy), part: 0, add: false, dw, dbias, sums: true };
  if (![x, dy, dw, call.xRows, call.dyRows, call.scale].every((operand) => operand === null || fitsBinding(runtime.traits, operand))) {
    weightGradInWindows(runtime, tilings, call);
    return;
  }
  const part = segmentPartOf(K, M, R, G);
  const units = unitCount(R, part, G, false);
  if (part === 0 || units * K * M * 4 > runtime.traits.bindingBytes) {
    launch(runtime, tilings, call, everything);
    return;
  }
  const sums = runtime.scratch('float32', [units, K, M]);
  const biasSums = dbias ? runtime.scratch('float32', [units, M]) : null;
  launch(runtime, tilings, call, { ...everything, part, dw: sums, dbias: biasSums });
  addSegmentParts(runtime, call, part, sums, dw);
  if (dbias) addSegmentParts(runtime, call, part, biasSums!, dbias);
}

function whole(operand: Operand): Range {
  return { begin: 0, end: operand.shape[0]! };
}

/** Rows of the segments where an operand is read in order; rows gathered from where it is read by index. */
function weightGradInWindows(runtime: Runtime, tilings: Tilings, call: Call): void {
  const { x, xRows, dy, dyRows, dw, dbias, R } = call;
  const { traits } = runtime;
  const [G, K, M] = dw.shape as [number, number, number];
  const [xStep, dyStep] = [rowsPerBinding(traits, x, K), rowsPerBinding(traits, dy, M)];
  const perRow = [xRows, dyRows, call.scale].map((operand) => (operand ? rowsPerBinding(traits, operand, 1) : Infinity));
  const rows = rangesOf(R, Math.min(xRows ? Infinity : xStep, dyRows ? Infinity : dyStep, ...perRow));
  const xSources = xRows ? rangesOf(x.shape[0]!, xStep) : [whole(x)];
  const dySources = dyRows ? rangesOf(dy.shape[0]!, dyStep) : [whole(dy)];
  const several = rows.length * xSources.length * dySources.length > 1;
  // Sums over several windows stay in float32 between them.
  const wide = (out: Operand): Operand => (several && out.dtype === 'float16' ? runtime.scratch('float32', out.shape) : out);
  const [dwSum, dbiasSum] = [wide(dw), dbias ? wide(dbias) : null];
  for (const group of rangesOf(G, rowsPerBinding(traits, dwSum, K * M))) {
    let add = false;
    for (const row of rows) {
      for (const dySource of dySources) {
        xSources.forEach((xSource, index) => {
          launch(runtime, tilings, call, { group, row, xSource, dySource, part: 0, add, dw: dwSum, dbias: dbiasSum, sums: index === 0 });
          add = true;
        });
      }
    }
  }
  if (dwSum !== dw) narrow(runtime, call.primitive, dwSum, dw);
  if (dbias && dbiasSum && dbiasSum !== dbias) narrow(runtime, call.primitive, dbiasSum, dbias);
}

interface Piece {
  readonly group: Range;
  readonly row: Range;
  readonly xSource: Range;
  readonly dySource: Range;
  /** Rows of a part of a segment, each with a sum of its own in dw [units, K, M] and dbias [units, M]; 0: segments are not cut. */
  readonly part: number;
  /** To what dw and dbias hold, which are float32 then. */
  readonly add: boolean;
  readonly dw: Operand;
  readonly dbias: Operand | null;
  /** Whether this launch adds to dbias. */
  readonly sums: boolean;
}

function launch(runtime: Runtime, tilings: Tilings, call: Call, piece: Piece): void {
  const { primitive, x, xRows, dy, dyRows, scale, offsets, R } = call;
  const { group, row, xSource, dySource, part, dw, dbias, sums } = piece;
  const { traits } = runtime;
  const [K, M] = [x.shape[1]!, dy.shape[1]!];
  const [groups, count] = [group.end - group.begin, row.end - row.begin];
  const units = part > 0 ? unitCount(count, part, groups, false) : groups;
  const tile = tilings.pick({
    kind: 'weight-grad', half: x.dtype === 'float16', layout: 'ii', M: K, N: M, K: part > 0 ? part : Math.ceil(R / groups), count: units,
  });
  const program = runtime.program(`${primitive} ${tileName(tile)} ${variantOf(call, piece, tile)}`, () => tileProgram(gradProduct(call, piece, tile), tile));
  // Without columns of x there still are bias sums.
  const [tilesM, tilesN] = [Math.max(1, Math.ceil(K / tile.tileM)), Math.ceil(M / tile.tileN)];
  const tiles = tilesM * tilesN * units;
  const [xRange, dyRange] = [xRows ? xSource : row, dyRows ? dySource : row];
  const views = {
    x: viewOf(traits, x, xRange.begin * K, xRange.end * K),
    dy: viewOf(traits, dy, dyRange.begin * M, dyRange.end * M),
    dw: viewOf(traits, dw, group.begin * K * M, group.end * K * M),
    xRows: xRows ? viewOf(traits, xRows, row.begin, row.end) : NO_VIEW,
    dyRows: dyRows ? viewOf(traits, dyRows, row.begin, row.end) : NO_VIEW,
    scale: scale ? viewOf(traits, scale, row.begin, row.end) : NO_VIEW,
  };
  runtime.run(program, {
    x: views.x.binding, dy: views.dy.binding, dw: views.dw.binding, offsets,
    dbias, xRows: views.xRows.binding, dyRows: views.dyRows.binding, scale: views.scale.binding,
  }, {
    tiles, tilesM, tilesN, tileK: tile.tileK, K, M, part, sums: sums ? 1 : 0,
    groupFirst: group.begin, groups, tail: 0, rowFirst: row.begin, rows: count,
    aBase: views.x.base, aPitch: K, aFirst: xSource.begin, aLast: xSource.end, aIndices: views.xRows.base,
    bBase: views.dy.base, bPitch: M, bFirst: dySource.begin, bLast: dySource.end, bIndices: views.dyRows.base, bScales: views.scale.base, outBase: views.dw.base,
  }, runtime.fold(tiles), 2 * count * K * M);
}

function variantOf({ x, xRows, dy, dyRows, scale }: Call, { dw, dbias, part, add }: Piece, tile: Tile): string {
  const [K, M] = [readWidth(tile, floatElement(x.dtype), x.shape[1]!), readWidth(tile, floatElement(dy.dtype), dy.shape[1]!)];
  const flags = [xRows ? 'xRows' : '', dyRows ? 'dyRows' : '', scale ? 'scale' : '', dbias ? `dbias ${dbias.dtype}` : '', part > 0 ? 'parts' : '', add ? 'add' : ''];
  return [x.dtype, dy.dtype, dw.dtype, `K${K}`, `M${M}`, ...flags].filter(Boolean).join(' ');
}

const ARGS = [
  'tiles', 'tilesM', 'tilesN', 'K', 'M', 'part', 'sums', ...SEGMENT_ARGS, 'aBase', 'aPitch', 'aFirst', 'aLast', 'aIndices',
  'bBase', 'bPitch', 'bFirst', 'bLast', 'bIndices', 'bScales', 'outBase',
] as const;

function gradProduct({ x, xRows, dy, dyRows, scale }: Call, { dw, dbias, part, add }: Piece, tile: Tile): Product {
  const wideM = isVector(dy.shape[1]!);
  const width = ({ dtype, shape }: Operand): ReadWidth => readWidth(tile, floatElement(dtype), shape[1]!);
  const a: TileOperand = { buffer: 'x', element: floatElement(x.dtype), rows: 'inner', width: width(x), ...(xRows ? { indices: 'xRows' } : {}) };
  const b: TileOperand = {
    buffer: 'dy', element: floatElement(dy.dtype), rows: 'inner', width: width(dy), ...(dyRows ? { indices: 'dyRows' } : {}), ...(scale ? { scale: 'scale' } : {}),
  };
  const element = floatElement(dw.dtype);
  return {
    a, b,
    buffers: {
      offsets: reads('int32'), dw: writes(wideM ? `vec4<${element}>` : element), ...(dbias ? { dbias: writes(dbias.dtype) } : {}),
      ...(xRows ? { xRows: reads('int32') } : {}), ...(dyRows ? { dyRows: reads('int32') } : {}), ...(scale ? { scale: reads('float32') } : {}),
    },
    args: Object.fromEntries(ARGS.map((name): [string, ScalarType] => [name, 'u32'])),
    declarations: [SEGMENT_WGSL, storeFunction('dw', element, wideM, add), dbias ? storeFunction('dbias', floatElement(dbias.dtype), false, add) : ''].join('\n'),
    locate: locate(part > 0),
    finish: (row, column, value) => `dwStore(args.outBase + (slice * args.K + ${row}) * args.M + ${column}, args.M - ${column}, ${value});`,
    ...(dbias ? {
      columnSums: {
        when: 'spot.x == 0u && args.sums == 1u',
        finish: (column: string, value: string) => `dbiasStore(slice * args.M + ${column}, args.M - ${column}, ${value});`,
      },
    } : {}),
  };
}

/** `slice`: where the sums go; the segment, or the unit of one. */
function locate(isCut: boolean): string {
  const segment = isCut
    ? `let segment = unitSegment(unit, args.part, lane);
  let slice = unit;
  let kBegin = args.rowFirst + segmentBegin(segment) + (unit - firstUnit(segment, args.part)) * args.part;
  let kEnd = min(args.rowFirst + segmentEnd(segment), kBegin + args.part);
  if (kBegin >= kEnd) { return; }`
    : `let segment = unit;
  let slice = args.groupFirst + segment;
  let kBegin = args.rowFirst + segmentBegin(segment);
  let kEnd = args.rowFirst + segmentEnd(segment);`;
  return `
  let unit = index / (args.tilesM * args.tilesN);
  let spot = place(index % (args.tilesM * args.tilesN), args.tilesM, args.tilesN);
  ${segment}
  let m0 = spot.x * TILE_M;
  let n0 = spot.y * TILE_N;
  let mEnd = args.K;
  let nEnd = args.M;
  let aBase = args.aBase;
  let bBase = args.bBase;`.trim();
}

/** out[g] = the sum of the parts of segment g, in order; zeros for an empty segment. */
function addSegmentParts(runtime: Runtime, { primitive, offsets }: Call, part: number, partial: Operand, out: Operand): void {
  const program = runtime.program(`${primitive} add parts ${out.dtype}`, () => ({
    buffers: { partial: reads('float32'), offsets: reads('int32'), out: writes(out.dtype) },
    args: { length: 'u32', start: 'u32', size: 'u32', part: 'u32' },
    code: `
fn element(i: u32) {
  let index = args.start + i;
  let g = index / args.size;
  let begin = u32(offsets[g]);
  let parts = (u32(offsets[g + 1u]) - begin + args.part - 1u) / args.part;
  let first = ((begin - u32(offsets[0])) / args.part + g) * args.size + index % args.size;
  var sum = 0.0;
  for (var p = 0u; p < parts; p++) { sum += partial[first + p * args.size]; }
  out[i] = ${wgslType(out.dtype)}(sum);
}`,
    perElement: true,
  }));
  runtime.runElements(program, { partial, offsets, out }, { size: sizeOf(partial.shape.slice(1)), part }, sizeOf(out.shape));
}

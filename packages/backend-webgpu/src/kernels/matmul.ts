// matmul: which pieces of it are launched with which tiles. Batches of one matrix b are one product; long reductions into small
// results are cut; operands beyond the largest binding are bound in windows over rows, accumulating over windows of the reduction.
import type { Kernels, Operand } from '@xmoe/core';
import { DEVICE_BYTES } from '../runtime/buffers.js';
import { writes, type ScalarType } from '../runtime/program.js';
import type { Runtime } from '../runtime/runtime.js';
import { readWidth, type TileOperand } from './tiles/operand-wgsl.js';
import { floatElement, isVector, storeFunction, type Product } from './tiles/product.js';
import { addParts, narrow, splitOf } from './tiles/split.js';
import { tileName } from './tiles/tile-config.js';
import { tileProgram } from './tiles/tile-program.js';
import type { Tilings } from './tiles/tilings.js';
import { fitsBinding, rangesOf, rowsPerBinding, viewOf, type Range } from './tiles/windows.js';

export function matmulKernels(runtime: Runtime, tilings: Tilings) {
  return {
    matmul({ a, b }, { out }, flags) {
      const call = describe(a, b, out, flags);
      if (call.B * call.M * call.N === 0) return;
      if ([a, b, out].every((operand) => fitsBinding(runtime.traits, operand))) multiplyWhole(runtime, tilings, call);
      else multiplyInWindows(runtime, tilings, call);
    },
  } satisfies Partial<Kernels>;
}

interface Call {
  readonly a: Operand;
  readonly b: Operand;
  readonly out: Operand;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly B: number;
  readonly M: number;
  readonly N: number;
  readonly K: number;
  /** One matrix b for all batches. */
  readonly sharedB: boolean;
}

function describe(a: Operand, b: Operand, out: Operand, { transposeA, transposeB }: { transposeA: boolean; transposeB: boolean }): Call {
  const [B, M, N] = out.shape as [number, number, number];
  const K = a.shape[transposeA ? 1 : 2]!;
  const sharedB = b.shape[0] === 1;
  // Rows of all batches times one matrix are one product.
  const joined = sharedB && !transposeA;
  return { a, b, out, transposeA, transposeB, B: joined ? 1 : B, M: joined ? B * M : M, N, K, sharedB };
}

function multiplyWhole(runtime: Runtime, tilings: Tilings, call: Call): void {
  const { B, M, N, K } = call;
  const split = splitOf(M, N, K, B);
  const everything = { batch: whole(B), m: whole(M), n: whole(N), k: whole(K) };
  if (split.parts > 1 && B * split.parts * M * N * DEVICE_BYTES.float32 <= runtime.traits.bindingBytes) {
    const partial = runtime.scratch('float32', [B, split.parts, M, N]);
    launch(runtime, tilings, call, { ...everything, target: partial, ...split, add: false });
    addParts(runtime, 'matmul', partial, split.parts, call.out);
  } else {
    launch(runtime, tilings, call, { ...everything, target: call.out, parts: 1, step: K, add: false });
  }
}

/** Pieces whose operands can be bound: some batches, or rows of one. */
function multiplyInWindows(runtime: Runtime, tilings: Tilings, call: Call): void {
  const { a, b, out, transposeA, transposeB, B, M, N, K, sharedB } = call;
  const { traits } = runtime;
  const rows = (operand: Operand, pitch: number): number => rowsPerBinding(traits, operand, pitch);
  const stepK = Math.min(transposeA ? rows(a, M) : Infinity, transposeB ? Infinity : rows(b, N));
  const k = rangesOf(K, stepK);
  // Sums over several windows stay in float32 between them.
  const target = k.length > 1 && out.dtype === 'float16' ? runtime.scratch('float32', out.shape) : out;
  const stepM = Math.min(transposeA ? Infinity : rows(a, K), rows(target, N));
  const stepN = transposeB ? rows(b, K) : Infinity;
  const matrices = [rows(a, M * K), sharedB ? Infinity : rows(b, K * N), rows(target, M * N)];
  const cut = stepM < M || stepN < N || stepK < K;
  for (const batch of rangesOf(B, cut ? 1 : Math.min(...matrices))) {
    for (const m of rangesOf(M, stepM)) {
      for (const n of rangesOf(N, stepN)) {
        k.forEach((range, index) => launch(runtime, tilings, call, { batch, m, n, k: range, target, parts: 1, step: K, add: index > 0 }));
      }
    }
  }
  if (target !== out) narrow(runtime, 'matmul', target, out);
}

function whole(end: number): Range {
  return { begin: 0, end };
}

/** Part of a product, its reduction cut into `parts` of `step`. */
interface Piece {
  readonly batch: Range;
  readonly m: Range;
  readonly n: Range;
  readonly k: Range;
  /** [B, parts, M, N]. */
  readonly target: Operand;
  readonly parts: number;
  readonly step: number;
  /** To what the target holds, which is float32 then. */
  readonly add: boolean;
}

function launch(runtime: Runtime, tilings: Tilings, call: Call, { batch, m, n, k, target, parts, step, add }: Piece): void {
  const { transposeA, transposeB, M, N, K, sharedB } = call;
  const count = batch.end - batch.begin;
  const half = call.a.dtype === 'float16';
  const tile = tilings.pick({
    kind: 'matmul', half, layout: `${transposeA ? 'i' : 'o'}${transposeB ? 'o' : 'i'}`,
    M: m.end - m.begin, N: n.end - n.begin, K: Math.min(step, k.end - k.begin), count: count * parts,
  });
  const [aPitch, bPitch] = [transposeA ? M : K, transposeB ? K : N];
  const element = floatElement(call.a.dtype);
  const [aSpan, bSpan] = [transposeA ? m : k, transposeB ? k : n];
  const a: TileOperand = { buffer: 'a', element, rows: transposeA ? 'inner' : 'outer', width: readWidth(tile, element, aPitch, aSpan.begin, aSpan.end) };
  const b: TileOperand = { buffer: 'b', element, rows: transposeB ? 'outer' : 'inner', width: readWidth(tile, element, bPitch, bSpan.begin, bSpan.end) };
  const vectorOut = isVector(N) && isVector(n.begin);
  const variant = [transposeA ? 'at' : 'a', a.width, transposeB ? 'bt' : 'b', b.width, element, floatElement(target.dtype), vectorOut ? 4 : 1, add ? 'add' : ''];
  const program = runtime.program(`matmul ${tileName(tile)} ${variant.join(' ')}`, () => tileProgram(denseProduct(a, b, floatElement(target.dtype), vectorOut, add), tile));
  const [tilesM, tilesN] = [Math.ceil((m.end - m.begin) / tile.tileM), Math.ceil((n.end - n.begin) / tile.tileN)];
  const tiles = tilesM * tilesN * count * parts;
  const [aRows, bRows] = [transposeA ? k : m, transposeB ? n : k];
  const bBatch = sharedB ? 0 : K * N;
  const views = {
    a: viewOf(runtime.traits, call.a, batch.begin * M * K + aRows.begin * aPitch, (batch.end - 1) * M * K + aRows.end * aPitch),
    b: viewOf(runtime.traits, call.b, batch.begin * bBatch + bRows.begin * bPitch, (batch.end - 1) * bBatch + bRows.end * bPitch),
    out: viewOf(runtime.traits, target, batch.begin * M * N * parts + m.begin * N, (batch.end * parts - 1) * M * N + m.end * N),
  };
  runtime.run(program, { a: views.a.binding, b: views.b.binding, out: views.out.binding }, {
    tiles, tilesM, tilesN, parts, step, tileK: tile.tileK,
    batch: batch.begin, m: m.begin, mEnd: m.end, n: n.begin, nEnd: n.end, k: k.begin, kEnd: k.end,
    aBase: views.a.base, aPitch, aBatch: M * K, bBase: views.b.base, bPitch, bBatch, outBase: views.out.base, outPitch: N, outBatch: M * N,
  }, runtime.fold(tiles), 2 * count * (m.end - m.begin) * (n.end - n.begin) * (k.end - k.begin));
}

const DENSE_ARGS = [
  'tiles', 'tilesM', 'tilesN', 'parts', 'step', 'batch', 'm', 'mEnd', 'n', 'nEnd', 'k', 'kEnd',
  'aBase', 'aPitch', 'aBatch', 'bBase', 'bPitch', 'bBatch', 'outBase', 'outPitch', 'outBatch',
] as const;

export function denseProduct(a: TileOperand, b: TileOperand, out: 'f32' | 'f16', vectorOut: boolean, add: boolean): Product {
  return {
    a, b,
    buffers: { out: writes(vectorOut ? `vec4<${out}>` : out) },
    args: Object.fromEntries(DENSE_ARGS.map((name): [string, ScalarType] => [name, 'u32'])),
    declarations: storeFunction('out', out, vectorOut, add),
    locate: `
  let slice = args.batch * args.parts + index / (args.tilesM * args.tilesN);
  let batch = slice / args.parts;
  let spot = place(index % (args.tilesM * args.tilesN), args.tilesM, args.tilesN);
  let m0 = args.m + spot.x * TILE_M;
  let n0 = args.n + spot.y * TILE_N;
  let mEnd = args.mEnd;
  let nEnd = args.nEnd;
  let kBegin = args.k + (slice % args.parts) * args.step;
  let kEnd = min(args.kEnd, kBegin + args.step);
  let aBase = args.aBase + batch * args.aBatch;
  let bBase = args.bBase + batch * args.bBatch;
  let outAt = args.outBase + slice * args.outBatch;`.trim(),
    finish: (row, column, value) => `outStore(outAt + ${row} * args.outPitch + ${column}, nEnd - ${column}, ${value});`,
  };
}

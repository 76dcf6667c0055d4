// reduce along any axis. Long reductions with few results run in two stages, chunks first. argReduce is in arg-reduce.ts, sumSquares
// in optimizer.ts.
import type { AxisView, Kernels, Operand, ReduceOp } from '@xmoe/core';
import { wgslType } from '../runtime/program.js';
import type { Runtime } from '../runtime/runtime.js';
import { asRows, rowWindows, type RowWindow } from './rows.js';
import { REDUCE_GROUP, reduceColumnsSpec, reduceRowsSpec, type ReduceVariant } from './reduce-wgsl.js';

/** With fewer workgroups than this, long reductions are cut into chunks. */
const FEW_GROUPS = 256;
const WANTED_GROUPS = 512;
/** Elements of a row, and rows of a column, that a chunk has at least. */
const CHUNK_ELEMENTS = 4096;
const CHUNK_ROWS = 64;

export function reduceKernels(runtime: Runtime) {
  return {
    reduce({ x }, { out }, { outer, size, inner, op }) {
      reduceInto(runtime, 'reduce', op, x, out, { outer, size, inner });
    },
  } satisfies Partial<Kernels>;
}

function identityOf(op: ReduceOp, integers: boolean): number {
  if (op === 'max') return integers ? -(2 ** 31) : -Infinity;
  if (op === 'min') return integers ? 2 ** 31 - 1 : Infinity;
  return 0;
}

/** x [outer, size, inner] → out [outer, inner]. */
export function reduceInto(runtime: Runtime, name: string, op: ReduceOp, x: Operand, out: Operand, view: AxisView): void {
  const { outer, inner } = view;
  if (outer * inner === 0) return;
  const chunks = chunksOf(view);
  if (chunks === 1) {
    stage(runtime, name, op, x, out, view, 1);
    return;
  }
  const partial = runtime.scratch(x.dtype === 'int32' ? 'int32' : 'float32', [outer, chunks, inner]);
  stage(runtime, name, op, x, partial, view, chunks);
  stage(runtime, name, op, partial, out, { outer, size: chunks, inner }, 1);
}

/** Decided by the shape alone, so that results do not depend on the device. */
function chunksOf({ outer, size, inner }: AxisView): number {
  const groups = inner === 1 ? outer : outer * Math.ceil(inner / 128);
  const smallest = inner === 1 ? CHUNK_ELEMENTS : CHUNK_ROWS;
  if (groups >= FEW_GROUPS || size < 2 * smallest) return 1;
  return Math.min(Math.ceil(size / smallest), Math.ceil(WANTED_GROUPS / groups));
}

function stage(runtime: Runtime, name: string, op: ReduceOp, x: Operand, out: Operand, view: AxisView, chunks: number): void {
  const identity = identityOf(op, x.dtype === 'int32');
  const types = { op, from: wgslType(x.dtype), to: wgslType(out.dtype) } as Pick<ReduceVariant, 'op' | 'from' | 'to'>;
  const { size, inner } = view;
  const windows = rowWindows(runtime, { x: asRows(x, view.outer, size * inner), out: asRows(out, view.outer, chunks * inner) });
  if (inner === 1) {
    const lanes = size % 4 === 0 && size > 0 ? 4 : 1;
    const variant: ReduceVariant = { ...types, lanes, team: teamOf(size / lanes / chunks) };
    for (const window of windows) rows(runtime, name, variant, window, { size, chunks, identity });
    return;
  }
  const lanes = inner % 4 === 0 ? 4 : 1;
  const units = inner / lanes;
  // Short columns get a thread each; long ones share the workgroup between up to 32 units side by side.
  const team = size < 16 && units >= 32 ? REDUCE_GROUP : units >= 32 ? 32 : units > 4 ? 8 : 2;
  const variant: ReduceVariant = { ...types, lanes, team };
  const program = runtime.program(`${name} columns ${labelOf(variant)}`, () => reduceColumnsSpec(variant));
  const tiles = Math.ceil(units / team);
  for (const { rows: outer, buffers } of windows) {
    const count = outer * chunks * tiles;
    runtime.run(program, buffers, { count, tiles, size, units, chunkRows: Math.ceil(size / chunks), chunks, identity }, runtime.fold(count));
  }
}

interface RowsShape {
  readonly size: number;
  readonly chunks: number;
  readonly identity: number;
}

function rows(
  runtime: Runtime, name: string, variant: ReduceVariant, { rows: outer, buffers }: RowWindow, { size, chunks, identity }: RowsShape,
): void {
  const program = runtime.program(`${name} rows ${labelOf(variant)}`, () => reduceRowsSpec(variant));
  const units = size / variant.lanes;
  const items = outer * chunks;
  const args = { items, units, chunkUnits: Math.ceil(units / chunks), chunks, identity };
  runtime.run(program, buffers, args, runtime.fold(Math.ceil((items * variant.team) / REDUCE_GROUP)));
}

const labelOf = ({ op, from, to, lanes, team }: ReduceVariant): string => `${op} ${from} ${to} ${lanes}×${team}`;

/** Threads for a row of so many units: few enough that each has work, of few sizes so that few programs are compiled. */
function teamOf(units: number): number {
  if (units < 16) return 1;
  if (units < 128) return 8;
  return units < 1024 ? 32 : REDUCE_GROUP;
}

// How kernels that work row by row share out the rows of a matrix [rows, columns]: a power of two of lanes per row, several short
// rows per workgroup, and windows of rows where the matrix is beyond the largest binding. The WGSL is in rows-wgsl.ts.
import { sizeOf, type DType, type Operand } from '@xmoe/core';
import { DEVICE_BYTES } from '../runtime/buffers.js';
import { wgslType, type BufferType } from '../runtime/program.js';
import type { CompiledProgram } from '../runtime/pipelines.js';
import type { Binding, Runtime, Window } from '../runtime/runtime.js';
import type { FloatWidth } from './math-wgsl.js';

/** Threads of one workgroup of a row kernel. */
export const ROW_GROUP = 256;
/** Longer shares of a row are read again instead of kept in registers. */
const MOST_HELD = 8;

export interface RowPlan {
  /** What a lane handles at once: four neighbours where rows allow it. */
  readonly F: FloatWidth;
  /** Elements of F per row. */
  readonly units: number;
  /** Lanes that share a row. */
  readonly lanes: number;
  /** Units of one lane when they fit its registers, else 0. */
  readonly held: number;
  /** For names of programs: tells plans apart. */
  readonly label: string;
}

export function planRows(columns: number): RowPlan {
  const width = columns > 0 && columns % 4 === 0 ? 4 : 1;
  const units = columns / width;
  const lanes = Math.min(ROW_GROUP, 2 ** Math.floor(Math.log2(Math.max(1, units / 2))));
  const share = Math.max(1, Math.ceil(units / lanes));
  const held = share <= MOST_HELD ? share : 0;
  return { F: width === 4 ? 'vec4<f32>' : 'f32', units, lanes, held, label: `${width} × ${lanes} × ${held || 'any'}` };
}

/** The type of a buffer of `dtype` seen in units of the plan. */
export function unitType({ F }: RowPlan, dtype: DType): BufferType {
  const element = wgslType(dtype);
  return (F === 'f32' ? element : `vec4<${element}>`) as BufferType;
}

/** The arguments of every row kernel, after its own. `first`: the index of the window's first row. */
export const ROW_ARGS = { rows: 'u32', units: 'u32', first: 'u32' } as const;

export interface RowWindow {
  readonly first: number;
  readonly rows: number;
  readonly buffers: Readonly<Record<string, Binding>>;
}

/**
 * The rows of `operands` (each [rows, …]) in as few windows as the largest binding allows; whole operands when one is enough.
 * Windows begin at multiples of `multiple` rows.
 */
export function rowWindows({ traits }: Runtime, operands: Readonly<Record<string, Operand>>, multiple = 1): RowWindow[] {
  const rows = Object.values(operands)[0]!.shape[0]!;
  const widths = Object.entries(operands).map(([name, operand]) => ({ name, operand, width: sizeOf(operand.shape.slice(1)) }));
  const rowBytes = widths.map(({ operand, width }) => width * DEVICE_BYTES[operand.dtype]);
  const most = Math.floor(traits.bindingBytes / Math.max(1, ...rowBytes));
  if (rows <= most) return [{ first: 0, rows, buffers: operands }];
  let step = multiple;
  while (rowBytes.some((bytes) => (bytes * step) % traits.bindingAlignment !== 0)) step *= 2;
  step *= Math.floor(most / step);
  // A single row that is too long: the launch says so.
  if (step === 0) return [{ first: 0, rows, buffers: operands }];
  return Array.from({ length: Math.ceil(rows / step) }, (_, index) => {
    const first = index * step;
    const count = Math.min(step, rows - first);
    const windows = widths.map(({ name, operand, width }): [string, Window] => [name, { operand, start: first * width, length: count * width }]);
    return { first, rows: count, buffers: Object.fromEntries(windows) };
  });
}

/** The operand seen as [rows, columns]. */
export function asRows({ buffer, dtype }: Operand, rows: number, columns: number): Operand {
  return { buffer, dtype, shape: [rows, columns] };
}

/** Workgroups for so many rows. */
export function rowGroups({ lanes }: RowPlan, rows: number): number {
  return Math.ceil((rows * lanes) / ROW_GROUP);
}

/** Launches a row kernel over all rows of `operands`, each [rows, …]; those of `whole` are bound as they are. */
export function runRows(
  runtime: Runtime, program: CompiledProgram, plan: RowPlan,
  operands: Readonly<Record<string, Operand>>, whole: Readonly<Record<string, Operand>> = {}, args: Readonly<Record<string, number>> = {},
): void {
  for (const { first, rows, buffers } of rowWindows(runtime, operands)) {
    runtime.run(program, { ...buffers, ...whole }, { ...args, rows, units: plan.units, first }, runtime.fold(rowGroups(plan, rows)));
  }
}

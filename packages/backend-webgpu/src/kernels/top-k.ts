// topK and its kin: the k best of each row, and XMoE's selection by threshold. Short rows are ranked by counting, several per
// workgroup; of long ones a workgroup selects the best and sorts only these; where those do not fit its memory, everything is
// sorted.
import { sizeOf, type DType, type Kernels, type Operand } from '@xmoe/core';
import { massToReach } from '@xmoe/core/backend';
import { reads, wgslType, writes, type BufferSpec, type BufferType, type ScalarType } from '../runtime/program.js';
import type { Runtime } from '../runtime/runtime.js';
import { bitsOf, ORDER_GROUP, RUN } from './order-wgsl.js';
import { sortWords } from './radix-sort.js';
import { rowWindows } from './rows.js';
import { cutWgsl, pickSortedWgsl, rankWgsl, selectWgsl, type ThresholdSource } from './top-k-wgsl.js';

/** float32 is read as its bits. */
const bitsType = (dtype: DType): BufferType | DType => (dtype === 'float32' ? 'u32' : dtype);

export function topKKernels(runtime: Runtime) {
  return {
    topK({ x }, { values, indices }) {
      selectTop(runtime, 'topK', x, values, indices);
    },
    thresholdSelect({ p, mask, threshold: onDevice }, { values, indices, counts }, { threshold }) {
      const [rows, columns] = p.shape as [number, number];
      const choices = indices.shape[1]!;
      const reach = massToReach(threshold, columns);
      const args: Record<string, number> = onDevice ? {} : { limit: reach === Infinity ? 0 : reach, all: Number(reach === Infinity) };
      const source = onDevice ? 'buffer' : 'argument';
      const extra: Record<string, Operand> = { ...(mask ? { mask } : {}), ...(onDevice ? { threshold: onDevice } : {}) };
      if (columns <= ORDER_GROUP && choices > 0) {
        rank(runtime, 'thresholdSelect', p, values, indices, { counts, ...extra }, args);
        return;
      }
      selectTop(runtime, 'thresholdSelect', p, values, indices);
      const program = runtime.program(`thresholdSelect cut by ${source}${mask ? ' masked' : ''}`, () => ({
        buffers: { values: writes('f32'), indices: writes('i32'), counts: writes('i32'), ...extraBuffers(extra) },
        args: { rows: 'u32', columns: 'u32', choices: 'u32', ...limitArgs(source) },
        code: cutWgsl(mask !== null, source),
      }));
      runtime.run(program, { values, indices, counts, ...extra }, { rows, columns, choices, ...args }, runtime.fold(rows));
    },
  } satisfies Partial<Kernels>;
}

const extraBuffers = (extra: Readonly<Record<string, Operand>>): Record<string, BufferSpec> => ({
  ...('mask' in extra ? { mask: reads('bool') } : {}), ...('threshold' in extra ? { threshold: reads('f32') } : {}),
});

const limitArgs = (source: ThresholdSource | null): Record<string, ScalarType> => (source === 'argument' ? { limit: 'i32', all: 'u32' } : {});

/** The k best of each row, in order. `values` may be of another float type than x. */
function selectTop(runtime: Runtime, name: string, x: Operand, values: Operand, indices: Operand): void {
  const columns = x.shape[1]!;
  const choices = indices.shape[1]!;
  if (sizeOf(indices.shape) === 0) return;
  if (columns <= ORDER_GROUP) rank(runtime, name, x, values, indices, {}, {});
  else if (choices <= RUN) select(runtime, name, x, values, indices);
  else sortRows(runtime, name, x, values, indices);
}

/** Rows of up to 256: each lane counts what comes before its number. With counts: only what the threshold takes. */
function rank(
  runtime: Runtime, name: string, x: Operand, values: Operand, indices: Operand,
  extra: Readonly<Record<string, Operand>>, args: Readonly<Record<string, number>>,
): void {
  const [, columns] = x.shape as [number, number];
  const choices = indices.shape[1]!;
  const lanes = 2 ** Math.ceil(Math.log2(Math.max(1, columns)));
  const source = 'threshold' in extra ? 'buffer' : 'argument';
  const threshold = 'counts' in extra ? source : null;
  const variant = `${lanes} ${x.dtype} to ${values.dtype}${threshold ? ` by ${threshold}` : ''}${'mask' in extra ? ' masked' : ''}`;
  const program = runtime.program(`${name} rank ${variant}`, () => ({
    buffers: {
      x: reads(bitsType(x.dtype)), values: writes(values.dtype), indices: writes('int32'),
      ...(threshold ? { counts: writes('int32') } : {}), ...extraBuffers(extra),
    },
    args: { rows: 'u32', first: 'u32', columns: 'u32', choices: 'u32', ...limitArgs(threshold) },
    code: rankWgsl({ lanes, bits: bitsOf(x.dtype, 'x', 'row * args.columns + column'), valueType: wgslType(values.dtype), threshold, masked: 'mask' in extra }),
  }));
  for (const { first, rows, buffers } of rowWindows(runtime, { x, values, indices })) {
    runtime.run(program, { ...buffers, ...extra }, { ...args, first, rows, columns, choices }, runtime.fold(Math.ceil((rows * lanes) / ORDER_GROUP)));
  }
}

/** Long rows and k up to 1,024: a workgroup per row. */
function select(runtime: Runtime, name: string, x: Operand, values: Operand, indices: Operand): void {
  const columns = x.shape[1]!;
  const program = runtime.program(`${name} select ${x.dtype} to ${values.dtype}`, () => ({
    buffers: { x: reads(bitsType(x.dtype)), values: writes(values.dtype), indices: writes('int32') },
    args: { rows: 'u32', columns: 'u32', choices: 'u32', indexBits: 'u32' },
    code: selectWgsl({ bits: bitsOf(x.dtype, 'x', 'row * args.columns + i'), value: valueAt(x.dtype, values.dtype, 'x[row * args.columns + index]') }),
  }));
  const indexBits = Math.ceil(Math.log2(columns));
  for (const { rows, buffers } of rowWindows(runtime, { x, values, indices })) {
    runtime.run(program, buffers, { rows, columns, choices: indices.shape[1]!, indexBits }, runtime.fold(rows));
  }
}

/** Long rows and many choices: all numbers are sorted, by row. */
function sortRows(runtime: Runtime, name: string, x: Operand, values: Operand, indices: Operand): void {
  const columns = x.shape[1]!;
  const choices = indices.shape[1]!;
  const sorted = runtime.scratch('int32', [sizeOf(x.shape)]);
  sortWords(runtime, name, x, sorted, { order: 'descending', rowLength: columns });
  const program = runtime.program(`${name} pick sorted ${x.dtype} to ${values.dtype}`, () => ({
    buffers: { x: reads(bitsType(x.dtype)), sorted: reads('i32'), values: writes(values.dtype), indices: writes('i32') },
    args: { length: 'u32', start: 'u32', columns: 'u32', choices: 'u32' },
    code: pickSortedWgsl(valueAt(x.dtype, values.dtype, 'x[source]')),
    perElement: true,
  }));
  runtime.runElements(program, { x, sorted, values, indices }, { columns, choices }, sizeOf(indices.shape));
}

/** An element of x, bound as its bits if it is float32, as a number of another type. */
function valueAt(from: DType, to: DType, element: string): string {
  return `${wgslType(to)}(${from === 'float32' ? `bitcast<f32>(${element})` : element})`;
}

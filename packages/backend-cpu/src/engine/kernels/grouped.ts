// The products over ragged segments on the compiled kernels: which rows and which blocks each work item gets. Both the fused rows of
// the contract and the two that they contain; assembly/grouped.ts does the arithmetic.
import type { Kernels, Operand } from '@xmoe/core';
import { floats, int32s } from '../../storage.js';
import type { WasmRuntime } from '../runtime.js';
import { KINDS } from './activation.js';
import { chooseGradientBlocks, chooseGroupedBlocks, grainOfBlocks } from './blocks.js';
import { clearBetween, rowBlocks, totalRows, usedSegments, zeros } from './segments.js';

type GroupedKernels = Pick<Kernels, 'groupedMatmul' | 'groupedMatmulWeightGrad' | 'groupedLinear' | 'groupedLinearWeightGrad'>;

export function createGrouped(runtime: WasmRuntime, plain: Kernels): GroupedKernels {
  const { pointer } = runtime;
  const pointerOr0 = (operand: Operand | null): number => (operand === null ? 0 : pointer(operand));

  const groupedLinear: Kernels['groupedLinear'] = ({ x, rows, w, bias, offsets }, { out, pre }, { transposeW, activation }) => {
    const [R, M] = out.shape;
    const [X, K] = x.shape;
    if (R * M === 0) return;
    const picked = rows && int32s(rows);
    const segments = usedSegments(int32s(offsets), (row) => picked !== null && picked[row] < 0);
    const { rows: height, columns } = chooseGroupedBlocks(runtime, totalRows(segments), segments.filter(([from, to]) => to > from).length, M, K);
    const [blocks, count] = rowBlocks(runtime, segments, height);
    clearBetween(segments, R, M, pre === null ? [out] : [out, pre]);
    const averageRows = totalRows(segments) / Math.max(1, count);
    runtime.parallel('groupedLinear', count * Math.ceil(M / columns), grainOfBlocks(averageRows, columns, K), [
      pointer(x), pointerOr0(rows), X, zeros(runtime, K), pointer(w), Number(transposeW), pointerOr0(bias), pointer(out), pointerOr0(pre),
      blocks, K, M, columns, KINDS[activation][0],
    ]);
  };

  const groupedLinearWeightGrad: Kernels['groupedLinearWeightGrad'] = ({ x, xRows, dy, dyRows, scale, offsets }, { dw, dbias }) => {
    const [groups, K, M] = dw.shape;
    if (groups * K * M === 0) return plain.groupedLinearWeightGrad({ x, xRows, dy, dyRows, scale, offsets }, { dw, dbias });
    const [fromX, fromDy, factors] = [xRows && int32s(xRows), dyRows && int32s(dyRows), scale && floats(scale)];
    const addsNothing = (row: number): boolean =>
      factors?.[row] === 0 || (fromDy !== null && fromDy[row] < 0) || (dbias === null && fromX !== null && fromX[row] < 0);
    const segments = usedSegments(int32s(offsets), addsNothing);
    const bounds = runtime.scratchInts(2 * groups);
    segments.forEach(([from, to], group) => bounds.set([from, to], 2 * group));
    const blocks = chooseGradientBlocks(runtime, groups, K, M);
    const items = groups * Math.ceil(K / blocks.rows) * Math.ceil(M / blocks.columns);
    runtime.parallel('groupedLinearWeightGrad', items, grainOfBlocks(blocks.rows, blocks.columns, totalRows(segments) / groups), [
      pointer(x), pointerOr0(xRows), x.shape[0], pointer(dy), pointerOr0(dyRows), dy.shape[0], pointerOr0(scale), zeros(runtime, Math.max(K, M)),
      bounds.byteOffset, pointer(dw), pointerOr0(dbias), K, M, blocks.rows, blocks.columns,
    ]);
  };

  return {
    groupedLinear,
    groupedLinearWeightGrad,
    groupedMatmul: ({ x, w, offsets }, { out }, { transposeW }) =>
      groupedLinear({ x, rows: null, w, bias: null, offsets }, { out, pre: null }, { transposeW, activation: 'none' }),
    groupedMatmulWeightGrad: ({ x, dy, offsets }, { out }) =>
      groupedLinearWeightGrad({ x, xRows: null, dy, dyRows: null, scale: null, offsets }, { dw: out, dbias: null }),
  };
}

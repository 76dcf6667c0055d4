// The experts' kernels on the compiled ones. expertsForward and expertsBackward: a block of rows of one expert at a time goes through all products, in the cache.
import type { Activation, Kernels, Operand } from '@xmoe/core';
import { floats, int32s } from '../../storage.js';
import type { WasmRuntime } from '../runtime.js';
import { KINDS } from './activation.js';
import { grainOfBlocks } from './blocks.js';
import { grainOf } from './grain.js';
import { clearBetween, rowBlocks, totalRows, usedSegments, zeros } from './segments.js';

/** Rows of a block, and hidden units that are computed at once: what is in work of them, 1 MiB at most, stays in the second-level cache. */
const BLOCK_ROWS = 256;
const BLOCK_UNITS = 256;
const LEAST_ROWS = 64;
const IN_WORK_FLOATS = 2 ** 18;

/** The compiled expertsGrad of each activation. */
const GRADIENTS: Record<Activation, string> = { none: 'expertsGrad', relu: 'expertsGradRelu', 'gelu-tanh': 'expertsGradTanh', 'gelu-erf': 'expertsGradErf' };

export function createExperts(runtime: WasmRuntime, plain: Kernels): Pick<Kernels, 'expertsGrad' | 'expertsForward' | 'expertsBackward'> {
  const { pointer } = runtime;
  const pointerOr0 = (operand: Operand | null): number => (operand === null ? 0 : pointer(operand));
  return {
    expertsGrad({ pre, dHidden, weights, b2, dy, rowClaim, offsets }, { dPre, hidden, dWeights, rowWeight }, { activation }) {
      const [R, S] = pre.shape;
      const D = dy.shape[1];
      if (dWeights !== null) floats(dWeights).fill(0); // claims without a row
      runtime.parallel(GRADIENTS[activation], R, grainOf((KINDS[activation][1] + 3) * S + D), [
        pointer(pre), pointer(dHidden), pointer(weights), pointer(b2), pointer(dy), pointer(rowClaim), pointer(offsets), offsets.shape[0] - 1,
        pointer(dPre), pointer(hidden), pointerOr0(dWeights), pointer(rowWeight), S, D, weights.shape[1],
      ]);
    },
    expertsForward(inputs, outputs, attributes) {
      const { x, rowToken, w1, b1, w2, b2, offsets } = inputs;
      const { out, pre, hidden } = outputs;
      const [, D, S] = w1.shape;
      if (S === 0) return plain.expertsForward(inputs, outputs, attributes);
      const tokens = int32s(rowToken);
      const segments = usedSegments(int32s(offsets), (row) => tokens[row] < 0);
      clearBetween(segments, out.shape[0], D, [out]);
      clearBetween(segments, out.shape[0], S, [pre, hidden].filter((operand) => operand !== null));
      const { rows, units } = blockOf(D, S, 1);
      const [blocks, count] = rowBlocks(runtime, segments, rows);
      const scratch = runtime.scratch(4 * runtime.threads * rows * (D + units));
      runtime.parallel('expertsForward', count, grainOfBlocks(totalRows(segments) / Math.max(1, count), S, 2 * D), [
        pointer(x), x.shape[0], pointer(rowToken), zeros(runtime, D), pointer(w1), pointer(b1), pointer(w2), pointer(b2),
        pointer(out), pointerOr0(pre), pointerOr0(hidden), blocks, scratch, rows, units, D, S, KINDS[attributes.activation][0],
      ]);
    },
    expertsBackward(inputs, outputs, attributes) {
      const { x, pre, weights, w1, w2, b2, dy, rowToken, rowClaim, offsets } = inputs;
      const { rowGradients, dWeights, dw1, db1, dw2, db2 } = outputs;
      const [groups, D, S] = w1.shape;
      if (S === 0) return plain.expertsBackward(inputs, outputs, attributes);
      const claims = int32s(rowClaim);
      const segments = usedSegments(int32s(offsets), (row) => claims[row] < 0);
      if (rowGradients !== null) clearBetween(segments, rowClaim.shape[0], D, [rowGradients]);
      if (dWeights !== null) floats(dWeights).fill(0); // claims without a row
      const bounds = runtime.scratchInts(2 * groups);
      segments.forEach(([from, to], group) => bounds.set([from, to], 2 * group));
      const { rows, units } = blockOf(D, S, 2);
      const scratch = runtime.scratch(8 * runtime.threads * rows * (D + units + 2));
      runtime.parallel('expertsBackward', groups, grainOfBlocks(totalRows(segments) / Math.max(1, groups), S, 4 * D), [
        pointer(x), pointer(dy), x.shape[0], pointer(rowToken), pointer(rowClaim), zeros(runtime, Math.max(D, units)), pointer(weights),
        pointer(w1), pointer(w2), pointer(b2), pointer(pre), bounds.byteOffset,
        pointerOr0(rowGradients), pointerOr0(dWeights), pointerOr0(dw1), pointerOr0(db1), pointerOr0(dw2), pointerOr0(db2),
        scratch, rows, units, D, S, KINDS[attributes.activation][0],
      ]);
    },
  };
}

/** Of a pass that holds `operands` pairs of rows of D and of hidden units. It depends on the shape alone. */
function blockOf(D: number, S: number, operands: number): { rows: number; units: number } {
  const units = Math.max(1, Math.min(S, BLOCK_UNITS));
  const rows = Math.floor(IN_WORK_FLOATS / (operands * (D + units)) / 4) * 4;
  return { rows: Math.max(LEAST_ROWS, Math.min(BLOCK_ROWS, rows)), units };
}

// Cases of the experts' forward and backward pass: expertsForward, expertsBackward.
import type { Activation, FloatDType } from '@xmoe/core';
import { defineCase, FLOATS, input, output, sumTolerance, type ConformanceCase, type OperandSpec, type Tolerance } from '../case.js';
import { cycle, uniform } from '../data.js';
import { createPlan } from './routing.js';

interface PassCase {
  readonly T: number;
  readonly K: number;
  readonly S: number;
  readonly D: number;
  readonly offsets: readonly number[];
  /** Rows after the last segment. Default 0. */
  readonly extra?: number;
  readonly activation?: Activation;
  readonly dtype?: FloatDType;
  readonly biasDType?: FloatDType;
  /** Optional outputs. Default: all. */
  readonly wanted?: readonly string[];
}

const ALL = ['pre', 'hidden', 'rowGradients', 'dWeights', 'dw1', 'db1', 'dw2', 'db2'];

interface Shared {
  readonly details: string;
  readonly operands: Record<'x' | 'rowToken' | 'rowSelf' | 'w1' | 'w2' | 'b2' | 'offsets' | 'weights' | 'rowClaim' | 'claimRow', OperandSpec>;
  readonly rows: number;
  readonly groups: number;
  /** An optional output: of no size where it is not wanted. */
  optional(name: string, shape: readonly number[], dtype?: FloatDType): OperandSpec;
  isWanted(name: string): boolean;
}

/** A plan whose rows are some of them empty, and what both directions read. */
function sharedOf({ T, K, S, D, offsets, extra = 0, activation = 'gelu-tanh', dtype = 'float32', biasDType = 'float32', wanted = ALL }: PassCase): Shared {
  const used = offsets[offsets.length - 1]!;
  const [groups, rows] = [offsets.length - 1, used + extra];
  const plan = createPlan(T, K, used, [T, used]);
  const rowClaim = [...plan.rowClaim, ...new Array<number>(extra).fill(-1)];
  return {
    details: `[${rows}, ${D}] through ${S} in ${groups} for ${K} claims of ${T}, ${activation}, biases ${biasDType}${wanted === ALL ? '' : `, only ${wanted.join(' ') || 'what must be'}`}`,
    operands: {
      x: input([T, D], dtype, uniform(-1, 1)),
      rowToken: input([rows], 'int32', () => rowClaim.map((claim) => (claim < 0 ? -1 : Math.floor(claim / K)))),
      rowSelf: input([rows], 'int32', () => rowClaim.map((claim, row) => (claim < 0 ? -1 : row))),
      w1: input([groups, D, S], dtype, uniform(-0.5, 0.5)),
      w2: input([groups, S, D], dtype, uniform(-0.5, 0.5)),
      b2: input([groups, D], biasDType, uniform(-0.5, 0.5)),
      offsets: input([groups + 1], 'int32', cycle(...offsets)),
      weights: input([T, K], 'float32', uniform(0, 1)),
      rowClaim: input([rows], 'int32', () => rowClaim),
      claimRow: input([T, K], 'int32', () => plan.claimRow),
    },
    rows, groups,
    optional: (name, shape, type = 'float32') => output(wanted.includes(name) ? shape : [0], type),
    isWanted: (name) => wanted.includes(name),
  };
}

/** What passes from one product to the next is rounded too where it is stored in float16. */
const toleranceOf = (dtype: FloatDType, terms: number): Tolerance =>
  dtype === 'float16' ? { relative: 4e-3, absolute: 4e-3 + 1e-6 * terms } : sumTolerance(dtype, terms);

function forwardCase(given: PassCase): ConformanceCase {
  const { S, D, activation = 'gelu-tanh', dtype = 'float32', biasDType = 'float32' } = given;
  const { details, operands, rows, groups, optional, isWanted } = sharedOf(given);
  return defineCase('expertsForward', {
    label: details,
    dtype,
    operands: {
      ...operands,
      b1: input([groups, S], biasDType, uniform(-0.5, 0.5)),
      out: output([rows, D], dtype), pre: optional('pre', [rows, S], dtype), hidden: optional('hidden', [rows, S], dtype),
    },
    tolerance: toleranceOf(dtype, 2 * (D + S)),
    run: (kernel, { x, rowToken, rowSelf, w1, b1, w2, b2, offsets, out, pre, hidden }) =>
      kernel(
        { x, rowToken, rowSelf, w1, b1, w2, b2, offsets },
        { out, pre: isWanted('pre') ? pre : null, hidden: isWanted('hidden') ? hidden : null }, { activation },
      ),
  });
}

function backwardCase(given: PassCase): ConformanceCase {
  const { T, K, S, D, activation = 'gelu-tanh', dtype = 'float32', biasDType = 'float32' } = given;
  const { details, operands, rows, groups, optional, isWanted } = sharedOf(given);
  return defineCase('expertsBackward', {
    label: details,
    dtype,
    operands: {
      ...operands,
      pre: input([rows, S], dtype, uniform(-2, 2)),
      dy: input([T, D], dtype, uniform(-0.5, 0.5)),
      rowGradients: optional('rowGradients', [rows, D], dtype), dWeights: optional('dWeights', [T, K]),
      dw1: optional('dw1', [groups, D, S]), db1: optional('db1', [groups, S], biasDType),
      dw2: optional('dw2', [groups, S, D], dtype), db2: optional('db2', [groups, D], biasDType),
    },
    tolerance: toleranceOf(dtype, 3 * (S + D) + Math.ceil(rows / groups)),
    run: (kernel, { x, pre, weights, w1, w2, b2, dy, rowToken, rowSelf, rowClaim, claimRow, offsets, ...outputs }) => {
      const { rowGradients, dWeights, dw1, db1, dw2, db2 } = outputs;
      const wanted = Object.entries({ rowGradients, dWeights, dw1, db1, dw2, db2 }).map(([name, operand]) => [name, isWanted(name) ? operand : null]);
      kernel({ x, pre, weights, w1, w2, b2, dy, rowToken, rowSelf, rowClaim, claimRow, offsets }, Object.fromEntries(wanted) as Parameters<typeof kernel>[1], { activation });
    },
  });
}

const some = { T: 9, K: 3, S: 5, D: 4, offsets: [0, 6, 6, 17, 19], extra: 4 };
const ACTIVATIONS: readonly Activation[] = ['none', 'relu', 'gelu-tanh', 'gelu-erf'];

/** Shapes of both directions: rows, hidden units and widths of more than a block, empty experts, and sizes of 0. */
const PASSES: readonly PassCase[] = [
  ...FLOATS.flatMap((dtype) => [
    ...ACTIVATIONS.map((activation): PassCase => ({ ...some, activation, dtype })),
    { ...some, dtype, biasDType: dtype, offsets: [0, 3, 27], extra: 0 },
    { ...some, dtype, wanted: [] },
  ]),
  { ...some, offsets: [0, 0, 0], extra: 5 },
  { ...some, offsets: [0, 0], extra: 0 },
  { ...some, T: 1, K: 1, S: 1, D: 1, offsets: [0, 1], extra: 0 },
  { ...some, T: 0, offsets: [0, 3, 5], extra: 0 },
  { ...some, K: 0, offsets: [0, 3], extra: 0 },
  { ...some, S: 0 },
  { ...some, D: 0 },
  { T: 257, K: 4, S: 67, D: 33, offsets: [0, 100, 100, 611, 900], extra: 100, activation: 'gelu-erf' },
  { T: 60, K: 6, S: 301, D: 270, offsets: [0, 9, 10, 340], extra: 3 },
  { T: 65537, K: 1, S: 2, D: 3, offsets: [0, 65000, 65537], activation: 'relu' },
];

export const expertsForward: readonly ConformanceCase[] = [...PASSES, { ...some, wanted: ['pre'] }].map(forwardCase);
export const expertsBackward: readonly ConformanceCase[] = [
  ...PASSES, ...['rowGradients', 'dWeights', 'dw1', 'db1', 'dw2', 'db2'].map((name): PassCase => ({ ...some, wanted: [name] })),
].map(backwardCase);

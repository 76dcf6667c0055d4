// A linear layer with weights per segment of rows, its gather and its activation, as one op. The experts of a layer as one op
// are in @xmoe/moe.
import type { Activation } from '../contract.js';
import type { Tensor } from '../tensor.js';
import { engineOf, requireDType, requireExtent, requireGroups, requireName, requireOptions, requireRank, requireSameEngine } from './check.js';
import { ACTIVATIONS } from './activation.js';
import { greaterEqual, less, logicalAnd, select } from './elementwise.js';

export interface GroupedLinearOptions {
  /** int32 [R]: which row of x each row is; an index outside gives a row of zeros. Default: row r is x[r]. */
  readonly rows?: Tensor | null;
  /** float32 or x's dtype [G, M] */
  readonly bias?: Tensor | null;
  /** w is [G, M, K]. */
  readonly transposeW?: boolean;
  /** Default `none`. */
  readonly activation?: Activation;
}

/**
 * activation(x[rows[r]] · w[g] + bias[g]) for the rows r of segment g (offsets[g] ≤ r < offsets[g + 1]). x [X, K], w [G, K, M],
 * offsets int32 [G + 1] → [R, M], zero after the last segment.
 */
export function groupedLinear(x: Tensor, w: Tensor, offsets: Tensor, options: GroupedLinearOptions = {}): Tensor {
  const op = 'groupedLinear';
  const engine = engineOf(op, 'x', x);
  requireOptions(op, options);
  const { rows = null, bias = null, transposeW = false, activation = 'none' } = options;
  checkGroupedLinear(op, x, w, offsets, rows, bias, transposeW);
  requireName(op, 'activation', activation, ACTIVATIONS);
  const shape = [rows ? rows.size : x.shape[0]!, w.shape[transposeW ? 1 : 2]!]; // [R, M]
  const out = engine.empty(shape, x.dtype);
  const pre = engine.tape && activation !== 'none' ? engine.empty(shape, x.dtype) : null;
  engine.kernels.groupedLinear({ x, rows, w, bias, offsets }, { out, pre }, { transposeW, activation });
  const [inputs, biasDType] = [x.shape[0]!, bias?.dtype];
  const saved = [x, w, offsets, ...(pre ? [pre] : []), ...(rows ? [rows] : [])];
  engine.tape?.record({
    op,
    inputs: bias ? [x, w, bias] : [x, w],
    outputs: [out],
    saved,
    backward: ([dy], kept, needs) => {
      const [source, weight, ends] = kept as [Tensor, Tensor, Tensor];
      const gathered = rows ? kept[kept.length - 1]! : null;
      const dPre = slopeTimes(dy!, pre ? kept[3]! : null, activation, gathered && insideOf(gathered, inputs));
      const dx = needs[0] ? inputGradient(dPre, source, weight, ends, gathered, transposeW) : null;
      if (!needs[1] && !needs[2]) return [dx, null, null];
      const dw = engine.empty(weight.shape, weight.dtype);
      const dbias = needs[2] ? engine.empty([weight.shape[0]!, dPre.shape[1]!], biasDType) : null;
      const transposed = transposeW ? engine.empty([weight.shape[0]!, source.shape[1]!, dPre.shape[1]!], weight.dtype) : dw;
      engine.kernels.groupedLinearWeightGrad(
        { x: source, xRows: gathered, dy: dPre, dyRows: null, scale: null, offsets: ends },
        { dw: transposed, dbias },
      );
      if (transposeW) engine.kernels.transpose({ x: transposed }, { out: dw }, { permutation: [0, 2, 1] });
      return [dx, dw, dbias];
    },
  });
  return out;
}

/** The gradient of what the activation was applied to; zero in rows that were gathered from nowhere. */
function slopeTimes(dy: Tensor, pre: Tensor | null, activation: Activation, inside: Tensor | null): Tensor {
  let dPre = dy;
  if (pre) {
    dPre = dy.engine.empty(dy.shape, dy.dtype);
    dy.engine.kernels.biasActivationGrad({ x: pre, bias: null, offsets: null, dy }, { dx: dPre, dbias: null }, { activation });
  }
  return inside ? select(inside, dPre, 0) : dPre;
}

/** bool [R, 1] */
function insideOf(rows: Tensor, count: number): Tensor {
  const column = rows.engine.alias(rows, [rows.size, 1]);
  return logicalAnd(greaterEqual(column, 0), less(column, count));
}

function inputGradient(dPre: Tensor, x: Tensor, w: Tensor, offsets: Tensor, rows: Tensor | null, transposeW: boolean): Tensor {
  const { engine } = x;
  const dx = engine.empty(x.shape, x.dtype);
  const perRow = rows ? engine.empty([rows.size, x.shape[1]!], x.dtype) : dx;
  engine.kernels.groupedLinear(
    { x: dPre, rows: null, w, bias: null, offsets },
    { out: perRow, pre: null }, { transposeW: !transposeW, activation: 'none' },
  );
  if (rows) engine.kernels.scatterAddRows({ x: perRow, indices: rows }, { out: dx });
  return dx;
}

function checkGroupedLinear(op: string, x: Tensor, w: Tensor, offsets: Tensor, rows: Tensor | null, bias: Tensor | null, transposeW: boolean): void {
  requireSameEngine(op, x, w, offsets, rows, bias);
  requireGroups(op, x, w, offsets, transposeW);
  if (rows) {
    requireRank(op, 'rows', rows, 1);
    requireDType(op, 'rows', rows, 'int32');
  }
  if (!bias) return;
  requireRank(op, 'bias', bias, 2);
  requireDType(op, 'bias', bias, 'float32', x.dtype);
  requireExtent(op, 'the number of bias rows', bias.shape[0]!, w.shape[0]!);
  requireExtent(op, 'the width of bias', bias.shape[1]!, w.shape[transposeW ? 1 : 2]!);
}

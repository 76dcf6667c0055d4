// The experts of a layer spread over ranks: each rank routes its own tokens, sends the rows of their claims to the ranks that hold the experts,
// computes what others send to its own, and gets its results back. What a rank computes with its rows is what it would compute alone, to the bit:
// rows keep their order, gradients of weights are those of one rank's rows each. The experts on one rank are fused-experts.ts.
import { cast, concat, customGradient, gatherRows, reshape, slice, sum, XMoEError, type Activation, type Backward, type Engine, type ForwardContext, type Tensor } from '@xmoe/core';
import { createClaimExchange, type ClaimExchange } from './claim-exchange.js';
import type { ExpertWeights } from './experts.js';
import type { ExpertRanks } from './expert-ranks.js';
import type { DispatchPlan } from './plan.js';

export interface SpreadExperts {
  /** [T, d] float: this rank's tokens. */
  readonly x: Tensor;
  /** float32 [T, K] */
  readonly weights: Tensor;
  /** Of this rank's tokens, over all experts. */
  readonly plan: DispatchPlan;
  /** Those of this rank. */
  readonly experts: ExpertWeights;
  readonly activation: Activation;
  readonly ranks: ExpertRanks;
  /** Counts something in each row of hidden units [R, s]: int32 [R]. */
  readonly countRows: ((hidden: Tensor) => Tensor) | null;
  /** Takes the gradients of the experts of this rank, by the micro-batch of each rank; `name` of w1, b1, w2, b2. */
  readonly take: ForwardContext['takeGradient'];
}

/** @throws XMoEError `backend` where host and device do not meet within a step */
export function requireSpreading({ backend, groupedProducts }: Engine): void {
  if (backend.readSync && groupedProducts.native) return;
  throw new XMoEError('backend', `on ${backend.name} experts are not spread over ranks`, { op: 'expert parallel', hint: 'train on cpu, or with train.expertParallel=1: every rank then has all experts' });
}

/** y [T, d] of this rank's tokens in the dtype of x, and the sum of `countRows` over their kept claims, int32 []. Called by all ranks. */
export function spreadExperts(given: SpreadExperts): { output: Tensor; counted: Tensor | null } {
  const { x, weights } = given;
  requireSpreading(x.engine);
  const exchange = createClaimExchange(given.plan, given.ranks);
  const recording = x.engine.tape !== undefined;
  const [output, counted = null] = customGradient('spreadExperts', [x, weights], () => forward(given, exchange, recording), backwardOf(given, exchange));
  return { output: output!, counted };
}

function forward({ x, weights, plan, experts, activation, countRows }: SpreadExperts, exchange: ClaimExchange, recording: boolean): { outputs: readonly Tensor[]; saved: readonly Tensor[] } {
  const { engine, dtype } = x;
  const { w1, b1, w2, b2 } = experts;
  const [, width, hiddenSize] = w1.shape as [number, number, number];
  const { claimRow, rowClaim } = plan;
  const tables = exchange.tables(engine);
  const here = cast(exchange.toExperts(gatherRows(x, tables.sentTokens)), dtype); // [V, d], by rank
  const pre = recording ? engine.empty([here.shape[0]!, hiddenSize], dtype) : null;
  const outputs = engine.scope(() => {
    const hidden = engine.empty([here.shape[0]!, hiddenSize], dtype);
    engine.kernels.groupedLinear({ x: here, rows: tables.order, w: cast(w1, dtype), bias: b1, offsets: tables.offsets }, { out: hidden, pre }, { transposeW: false, activation });
    const rows = engine.empty([here.shape[0]!, width], dtype);
    engine.kernels.groupedLinear({ x: hidden, rows: null, w: cast(w2, dtype), bias: b2, offsets: tables.offsets }, { out: rows, pre: null }, { transposeW: false, activation: 'none' });
    const counts = countRows ? [reshape(cast(countRows(hidden), 'float32'), [-1, 1])] : [];
    const back = exchange.toTokens(gatherRows(concat([cast(rows, 'float32'), ...counts], 1), tables.place)); // [U, d or d + 1]
    const own = gatherRows(cast(countRows ? columns(back, 0, width) : back, dtype), tables.backRow);
    return [combine(own, weights, claimRow, rowClaim, x), ...(countRows ? [cast(sum(columns(back, width, 1)), 'int32')] : [])];
  });
  return { outputs, saved: pre ? [weights, w1, w2, b2, here, pre, claimRow, rowClaim, ...Object.values(tables)] : [] };
}

/**
 * As fused-experts.ts has it, in which a rank is handed the rows of all: what a token's claim is there, a row is here, with the weight of its claim.
 */
function backwardOf({ x: { dtype, shape }, activation, experts: { b1 }, take }: SpreadExperts, exchange: ClaimExchange): Backward {
  const { dtype: b1DType, shape: b1Shape } = b1;
  return ([upstream], saved) => {
    const [weights, w1, w2, b2, here, pre, claimRow, rowClaim, sentTokens, sentClaims, backRow, backClaim, order, place, offsets] = saved as Tensor[] as [
      Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor,
    ];
    const { engine } = weights;
    const [tokens, width] = shape as [number, number];
    const sent = concat([cast(gatherRows(upstream!, sentTokens), 'float32'), gatherRows(reshape(weights, [weights.size, 1]), sentClaims)], 1);
    const received = exchange.toExperts(sent); // [V, d + 1]
    const [dy, rowsOfWeights] = [cast(columns(received, 0, width), dtype), columns(received, width, 1)];
    const perHidden = (): Tensor => engine.empty(pre.shape, dtype);
    const [dHidden, dPre, hidden, rowWeight] = [perHidden(), perHidden(), perHidden(), engine.empty([order.size])];
    const dWeights = engine.empty([order.size, 1]);
    engine.kernels.groupedLinear({ x: dy, rows: order, w: cast(w2, dtype), bias: null, offsets }, { out: dHidden, pre: null }, { transposeW: true, activation: 'none' });
    const claims = { rowClaim: order, claimRow: reshape(place, [place.size, 1]) };
    engine.kernels.expertsGrad({ pre, dHidden, weights: rowsOfWeights, b2, dy, ...claims, offsets }, { dPre, hidden, dWeights, rowWeight }, { activation });
    if (take) {
      for (const [source, { rows, from, offsets: bounds }] of exchange.bySource(engine).entries()) {
        engine.scope(() => {
          const scale = reshape(gatherRows(reshape(rowWeight, [rowWeight.size, 1]), rows), [rows.size]);
          const made = { w1: engine.empty(w1.shape, w1.dtype), b1: engine.empty(b1Shape, b1DType), w2: engine.empty(w2.shape, w2.dtype), b2: engine.empty(b2.shape, b2.dtype) };
          engine.kernels.groupedLinearWeightGrad({ x: hidden, xRows: rows, dy, dyRows: from, scale, offsets: bounds }, { dw: made.w2, dbias: made.b2 });
          engine.kernels.groupedLinearWeightGrad({ x: here, xRows: from, dy: dPre, dyRows: rows, scale, offsets: bounds }, { dw: made.w1, dbias: made.b1 });
          for (const [name, gradient] of Object.entries(made)) take(name, source, gradient);
        });
      }
    }
    const dRows = engine.empty([order.size, width], dtype);
    engine.kernels.groupedLinear({ x: dPre, rows: null, w: cast(w1, dtype), bias: null, offsets }, { out: dRows, pre: null }, { transposeW: true, activation: 'none' });
    const back = exchange.toTokens(concat([gatherRows(cast(dRows, 'float32'), place), dWeights], 1)); // [U, d + 1]
    const own = gatherRows(cast(columns(back, 0, width), dtype), backRow);
    const dx = engine.empty([tokens, width], dtype);
    engine.kernels.combineExperts({ expertOut: own, weights, claimRow, rowClaim }, { out: dx });
    return [dx, reshape(gatherRows(columns(back, width, 1), backClaim), weights.shape)];
  };
}

/** Columns `from` … of a matrix. */
const columns = (x: Tensor, from: number, count: number): Tensor => slice(x, [0, from], [x.shape[0]!, count]);

function combine(rows: Tensor, weights: Tensor, claimRow: Tensor, rowClaim: Tensor, like: Tensor): Tensor {
  const out = like.engine.empty(like.shape, like.dtype);
  like.engine.kernels.combineExperts({ expertOut: rows, weights, claimRow, rowClaim }, { out });
  return out;
}

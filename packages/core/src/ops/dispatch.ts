// The dispatch plan of a routing group as tensors of indices. Which rows hold what; nothing is moved or computed here.
import type { DispatchPath } from '../contract.js';
import { XMoEError } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { engineOf, requireDType, requireExtent, requireName, requireOptions, requireRank, requireInteger, requireSameEngine } from './check.js';

/** Claim c = t·K + j is token t's choice j. All int32. */
export interface DispatchedClaims {
  /** [R]: the claim of a row; −1 for an empty row. */
  rowClaim: Tensor;
  /** [R]: the token of a row; −1 for an empty row. */
  rowToken: Tensor;
  /** [T, K]: the row of a claim; −1 for one that is unused or dropped. */
  claimRow: Tensor;
  /** [N + 1]: where each expert's rows begin. */
  offsets: Tensor;
  /** [N]: claims before dropping. */
  wanted: Tensor;
  /** [N]: claims with a row. */
  load: Tensor;
}

export interface DispatchOptions {
  readonly dispatch: DispatchPath;
  /** N */
  readonly experts: number;
  /** R. padded: N·C. grouped: at least the number of claims. budget: the most claims to keep. */
  readonly rows: number;
  /** Claims compete by rank, then token, whatever their scores. Default false. */
  readonly rankOnly?: boolean;
}

/**
 * Gives rows to claims (Section 3.2): expertIds int32 [T, K], −1 where unused, scores float32 [T, K]. Best is the lower rank
 * j, then the larger score, then the lower token. No gradient.
 */
export function dispatchClaims(expertIds: Tensor, scores: Tensor, options: DispatchOptions): DispatchedClaims {
  const op = 'dispatchClaims';
  const engine = engineOf(op, 'expertIds', expertIds);
  requireOptions(op, options);
  const { dispatch, experts, rows, rankOnly = false } = options;
  requireName(op, 'dispatch', dispatch, ['padded', 'grouped', 'budget']);
  requireInteger(op, 'experts', experts, 1);
  requireInteger(op, 'rows', rows, 0);
  requireSameEngine(op, expertIds, scores);
  requireRank(op, 'expertIds', expertIds, 2);
  requireDType(op, 'expertIds', expertIds, 'int32');
  requireRank(op, 'scores', scores, 2);
  requireDType(op, 'scores', scores, 'float32');
  requireExtent(op, 'the number of rows of scores', scores.shape[0]!, expertIds.shape[0]!);
  requireExtent(op, 'the number of columns of scores', scores.shape[1]!, expertIds.shape[1]!);
  if (dispatch === 'padded' && rows % experts !== 0) {
    throw new XMoEError('value', `${rows} rows are not equally many for each of ${experts} experts`, { op, hint: 'pass experts · capacity' });
  }
  const whole = (...shape: number[]): Tensor => engine.empty(shape, 'int32');
  const claims = { rowClaim: whole(rows), rowToken: whole(rows), claimRow: whole(...expertIds.shape), offsets: whole(experts + 1), wanted: whole(experts), load: whole(experts) };
  const { rowClaim, rowToken, claimRow, offsets, wanted, load } = claims;
  engine.kernels.dispatchClaims({ expertIds, scores }, { rowClaim, rowToken, claimRow, offsets, wanted, load }, { dispatch, rankOnly });
  return claims;
}

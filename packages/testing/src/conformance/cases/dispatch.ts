// Cases of dispatchClaims. Ties of scores are frequent: they must fall the same way everywhere.
import type { DispatchPath } from '@xmoe/core';
import { defineCase, input, output, type ConformanceCase } from '../case.js';
import { cycle, integers, replaced, uniform, type DataGenerator } from '../data.js';

interface Sizes {
  readonly T: number;
  readonly K: number;
  readonly N: number;
  readonly R: number;
}

interface DispatchCase extends Sizes {
  readonly note: string;
  readonly dispatch: DispatchPath;
  readonly ids: DataGenerator;
  readonly scores?: DataGenerator;
  readonly rankOnly?: boolean;
}

/** Eighths: many ties. */
const eighths: DataGenerator = (length, key) => Float64Array.from(integers(0, 8)(length, key)).map((value) => value / 8);

function dispatchCase({ T, K, N, R, note, dispatch, ids, scores = eighths, rankOnly = false }: DispatchCase): ConformanceCase {
  const whole = (...shape: number[]): ReturnType<typeof output> => output(shape, 'int32');
  return defineCase('dispatchClaims', {
    label: `${dispatch}, ${K} of ${N} experts for ${T} tokens in ${R} rows, ${note}${rankOnly ? ', by rank alone' : ''}`,
    dtype: 'int32',
    operands: {
      ids: input([T, K], 'int32', ids),
      scores: input([T, K], 'float32', scores),
      rowClaim: whole(R),
      rowToken: whole(R),
      claimRow: whole(T, K),
      offsets: whole(N + 1),
      wanted: whole(N),
      load: whole(N),
    },
    run: (kernel, { ids: expertIds, scores: p, rowClaim, rowToken, claimRow, offsets, wanted, load }) =>
      kernel({ expertIds, scores: p }, { rowClaim, rowToken, claimRow, offsets, wanted, load }, { dispatch, rankOnly }),
  });
}

/** −1 from a random count on, as routers give them; ids of one token may repeat, which changes nothing. */
function ragged(K: number, N: number): DataGenerator {
  return (length, key) => {
    const ids = Float64Array.from(integers(0, N - 1)(length, key));
    const counts = integers(0, K)(Math.ceil(length / Math.max(1, K)), [key[1], key[0]]);
    return ids.map((id, claim) => (claim % K < counts[Math.floor(claim / K)]! ? id : -1));
  };
}

/** Rows of each path for T·K claims: too few of them, and more than can be used. `grouped` never has too few. */
function rowsOf(dispatch: DispatchPath, T: number, K: number, N: number): readonly number[] {
  if (dispatch === 'padded') return [0, N, 3 * N, (T + 2) * N];
  if (dispatch === 'grouped') return [T * K, T * K + 29];
  return [0, 1, Math.ceil((T * K) / 3), T * K + 29];
}

const PATHS: readonly DispatchPath[] = ['padded', 'grouped', 'budget'];

export const dispatchClaims: readonly ConformanceCase[] = PATHS.flatMap((dispatch) => {
  const some = { dispatch, T: 31, K: 3, N: 7 };
  const R = dispatch === 'padded' ? 7 * 5 : 31 * 3;
  return [
    ...rowsOf(dispatch, 31, 3, 7).map((rows) => dispatchCase({ ...some, R: rows, note: 'ragged', ids: ragged(3, 7) })),
    dispatchCase({ ...some, R, note: 'ragged', ids: ragged(3, 7), rankOnly: true }),
    dispatchCase({ ...some, R, note: 'all used', ids: integers(0, 6) }),
    dispatchCase({ ...some, R, note: 'all used, any scores', ids: integers(0, 6), scores: uniform(0, 1) }),
    dispatchCase({ ...some, R, note: 'scores of 0, −0 and infinity', ids: integers(0, 6), scores: cycle(0, -0, 1, -0, 0, Infinity, -1) }),
    dispatchCase({ ...some, R, note: 'equal scores', ids: integers(-1, 6), scores: cycle(0.25) }),
    dispatchCase({ ...some, R, note: 'none used', ids: cycle(-1) }),
    dispatchCase({ ...some, R, note: 'ids outside', ids: integers(-3, 9) }),
    dispatchCase({ ...some, R, note: 'one expert', ids: cycle(4) }),
    dispatchCase({ ...some, R, note: 'two experts, holes between', ids: replaced(cycle(1, 6), -1, (index) => index % 5 === 0) }),
    dispatchCase({ dispatch, T: 13, K: 1, N: 1, R: 13, note: 'all used', ids: cycle(0) }),
    dispatchCase({ dispatch, T: 1, K: 1, N: 1, R: 1, note: 'one claim', ids: cycle(0) }),
    dispatchCase({ dispatch, T: 1, K: 5, N: 5, R: dispatch === 'padded' ? 10 : 5, note: 'one token', ids: cycle(3, 1, 4, -1, -1) }),
    dispatchCase({ dispatch, T: 0, K: 2, N: 3, R: 0, note: 'no tokens', ids: cycle(0) }),
    dispatchCase({ dispatch, T: 0, K: 2, N: 3, R: 6, note: 'no tokens, rows', ids: cycle(0) }),
    dispatchCase({ dispatch, T: 4, K: 0, N: 3, R: 6, note: 'no choices', ids: cycle(0) }),
    dispatchCase({ dispatch, T: 53, K: 64, N: 64, R: dispatch === 'padded' ? 64 * 37 : 53 * 64, note: 'every expert may be taken', ids: ragged(64, 64) }),
    dispatchCase({ dispatch, T: 16411, K: 4, N: 3, R: dispatch === 'padded' ? 3 * 9001 : 16411 * 4, note: 'ragged', ids: ragged(4, 3) }),
    dispatchCase({ dispatch, T: 301, K: 3, N: 2500, R: dispatch === 'padded' ? 2500 : 301 * 3, note: 'more experts than claims', ids: ragged(3, 2500) }),
    dispatchCase({ dispatch, T: 65537, K: 1, N: 300, R: dispatch === 'padded' ? 300 * 220 : 65537, note: 'with unused', ids: integers(-1, 299) }),
  ];
});

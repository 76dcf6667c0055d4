// Means over seeds, how far they can be trusted, and differences between two arms seed by seed. Plain numbers.

/** A mean and its standard error; null where one value alone says nothing of the spread. */
export interface Estimate {
  readonly mean: number;
  readonly error: number | null;
  /** Values behind it. */
  readonly count: number;
}

/** A difference below so many of its standard errors is called noise. */
export const NOISE_ERRORS = 2;

/** The mean of `values` and s/√n; undefined without any. */
export function estimateOf(values: readonly number[]): Estimate | undefined {
  const count = values.length;
  if (count === 0) return undefined;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  if (count === 1) return { mean, error: null, count };
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (count - 1);
  return { mean, error: Math.sqrt(variance / count), count };
}

/**
 * What `values` are above `others`, paired by position: both sides of a pair had the same seed, and with it the same batches and the same
 * initial weights where they share any. A pair with one side missing is left out.
 */
export function pairedDifference(values: readonly (number | undefined)[], others: readonly (number | undefined)[]): Estimate | undefined {
  return estimateOf(values.flatMap((value, index) => {
    const other = others[index];
    return value === undefined || other === undefined ? [] : [value - other];
  }));
}

/** Fewer pairs decide nothing: the standard error of two is itself a guess. */
export const FEWEST_PAIRS = 3;

/** Whether a difference is below {@link NOISE_ERRORS} standard errors; null where too few pairs tell. */
export function isNoise({ mean, error, count }: Estimate): boolean | null {
  return error === null || count < FEWEST_PAIRS ? null : Math.abs(mean) < NOISE_ERRORS * error;
}

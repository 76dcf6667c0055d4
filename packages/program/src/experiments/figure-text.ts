// How figures of several seeds read in tables: means with their errors, differences with a mark where they say nothing. Text only.
import { formatCompact } from '@xmoe/train';
import type { FigureColumn } from './experiment.js';
import { NOISE_ERRORS, type Estimate } from './statistics.js';

/** A mean with its standard error; `none` where nothing was measured. */
export function estimateText(estimate: Estimate | null, { digits, share, compact }: Pick<FigureColumn, 'digits' | 'share' | 'compact'>, none: string): string {
  if (estimate === null) return none;
  const show = (value: number): string => (compact ? formatCompact(value) : share ? (100 * value).toFixed(digits) : value.toFixed(digits));
  const spread = estimate.error === null || Number(show(estimate.error)) === 0 ? '' : ` ± ${show(estimate.error)}`;
  return `${show(estimate.mean)}${spread}${share ? ' %' : ''}`;
}

/** A difference from a baseline with its sign, marked ≈ inside the noise and ? where too few pairs decide nothing; '' without one. */
export function differenceCell({ difference, noise }: { readonly difference: Estimate | null; readonly noise: boolean | null }, { digits }: Pick<FigureColumn, 'digits'>): string {
  if (difference === null) return '';
  const sign = difference.mean < 0 ? '−' : '+';
  return `${sign}${estimateText({ ...difference, mean: Math.abs(difference.mean) }, { digits }, '')} ${{ true: '≈', false: '', null: '?' }[String(noise)]}`.trim();
}

/** What a reader of such a table must know. */
export const PAIRING_TEXT = `Mean ± standard error over seeds. Differences are paired: both sides had the same seed, so the same batches and, where they share any, the same initial weights. Below ${NOISE_ERRORS} standard errors: inside the noise, marked ≈; fewer than three pairs decide nothing, marked ?. `
  + 'With three seeds even an empty difference is above that in one comparison of five or six; the choice of the test text is not in it.';

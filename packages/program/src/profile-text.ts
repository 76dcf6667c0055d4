// The table that --profile prints: where the time of the kernels went.
import type { KernelTime } from '@xmoe/core';

const MOST_ROWS = 25;

/** Longest first; undefined where the device cannot measure. */
export function profileText(times: readonly KernelTime[] | undefined): string {
  if (times === undefined) return 'The device has no timestamps: no profile\n';
  const total = times.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  const rows = times.slice(0, MOST_ROWS).map(({ name, calls, milliseconds }) => {
    const share = total > 0 ? milliseconds / total : 0;
    return `  ${milliseconds.toFixed(1).padStart(10)} ms ${(100 * share).toFixed(1).padStart(5)} % ${String(calls).padStart(8)} calls  ${name}`;
  });
  const rest = times.slice(MOST_ROWS).reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  if (times.length > MOST_ROWS) rows.push(`  ${rest.toFixed(1).padStart(10)} ms in ${times.length - MOST_ROWS} others`);
  return `Time in kernels: ${total.toFixed(1)} ms\n${rows.join('\n')}\n`;
}

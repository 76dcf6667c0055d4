// Numbers as people read them, in terminals and reports. Not locale-aware: a log reads the same everywhere.

const SUFFIXES = ['', 'k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y'];

/** 1234 → `1.23k`, 5.6e9 → `5.60G`; small ones get three significant digits. */
export function formatCompact(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const power = Math.max(0, Math.min(SUFFIXES.length - 1, Math.floor(Math.log10(Math.abs(value) || 1) / 3)));
  const scaled = value / 1000 ** power;
  const digits = Math.abs(scaled) >= 999.5 ? 4 : 3; // 999.9 would round to 1.00e+3
  const text = Number.isInteger(value) && power === 0 ? String(value) : trimExponent(scaled.toPrecision(digits));
  return text + SUFFIXES[power];
}

/** Seconds as `42s`, `3m 05s`, `2h 07m`, `4d 03h`. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return '–';
  const whole = Math.round(seconds);
  const two = (value: number) => String(value).padStart(2, '0');
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${two(whole % 60)}s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)}h ${two(Math.floor((whole % 3600) / 60))}m`;
  return `${Math.floor(whole / 86_400)}d ${two(Math.floor((whole % 86_400) / 3600))}h`;
}

/** A share as `12.3%`. */
export function formatShare(share: number): string {
  return Number.isFinite(share) ? `${(share * 100).toFixed(1)}%` : '–';
}

function trimExponent(text: string): string {
  return text.replace(/e([+-])(\d+)$/, (_, sign: string, digits: string) => `e${sign === '-' ? '-' : ''}${digits}`);
}

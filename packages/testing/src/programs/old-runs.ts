// Runs that an older version of the programs made, kept to hold that they open: golden/old-runs/README.md. Copies, compares; runs nothing.
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folderOf = (name: string): string => fileURLToPath(new URL(`../../golden/old-runs/${name}`, import.meta.url));

/** Copies an old run with its data to `to`, as a user would who moves house; returns the run directory. */
export function copyOldRun(name: 'lm' | 'nmt', to: string): string {
  cpSync(folderOf(name), to, { recursive: true });
  const run = join(to, 'run');
  const path = join(run, 'config.json');
  const record = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  writeFileSync(path, JSON.stringify({ ...record, data: join(to, 'shards') }));
  return run;
}

/** What the program gave when it was made. */
export const outcomesOfThen = (name: 'lm' | 'nmt'): unknown => JSON.parse(readFileSync(join(folderOf(name), 'outcomes.json'), 'utf8')) as unknown;

/**
 * Where `actual` is not what was expected, by dotted path; it may have fields beyond. Numbers may differ by the relative `tolerance`: sums
 * may be taken in another order.
 */
export function differences(actual: unknown, expected: unknown, tolerance: number, path = ''): string[] {
  if (typeof expected === 'object' && expected !== null) {
    if (typeof actual !== 'object' || actual === null) return [`${path}: ${JSON.stringify(actual)}`];
    const fields = actual as Record<string, unknown>;
    const length = Array.isArray(expected) && expected.length !== (actual as unknown[]).length ? [`${path}: another length`] : [];
    return [...length, ...Object.entries(expected).flatMap(([key, item]) => differences(fields[key], item, tolerance, `${path}.${key}`))];
  }
  const close = typeof expected === 'number' && typeof actual === 'number' && Math.abs(actual - expected) <= tolerance * Math.abs(expected);
  return close || actual === expected ? [] : [`${path}: ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`];
}

// docs/reliability.md names, for every fault, tests that exist and carry its number in a name, or says why there is none.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

const rows = [...read('docs/reliability.md').matchAll(/^\| ([FS]\d+) \| ([^|]*) \| ([^|]*) \|$/gm)]
  .filter(([, , , proof]) => !/^\s*\d+ of \d+\s*$/.test(proof!)) // those are figures
  .map(([, fault = '', promise = '', proof = '']) => ({ fault, promise, proof: proof.trim() }));

const numbers = (letter: string, from: number, to: number): string[] => Array.from({ length: to - from + 1 }, (_, at) => letter + (from + at));

it('has every fault once', () => {
  expect(rows.map(({ fault }) => fault)).toEqual([...numbers('F', 1, 46), ...numbers('S', 1, 9)]);
});

/** Numbers in names of tests, ranges included: "F16 to F18" is three. */
function faultsIn(text: string): Set<string> {
  const found = new Set<string>();
  for (const [, names = ''] of text.matchAll(/['"`]((?:[^'"`\n]*\()?[FS]\d+[^'"`\n]*)['"`]/g)) {
    for (const [, letter = '', from, , to] of names.matchAll(/\b([FS])(\d+)( to [FS](\d+))?/g)) {
      for (const name of numbers(letter, Number(from), Number(to ?? from))) found.add(name);
    }
  }
  return found;
}

describe.each(rows)('$fault', ({ fault, proof }) => {
  it('is tested by what is named, or has a reason', () => {
    const files = proof.split(', ').filter((path) => path.endsWith('.test.ts'));
    if (files.length === 0) expect(proof).toMatch(/^(not there|no test of its own): \w/);
    for (const file of files) expect([...faultsIn(read(file))], file).toContain(fault);
  });
});

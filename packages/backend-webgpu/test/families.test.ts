// The conformance files together check every primitive: what no table of a family has, and no fallback stands in for, would go untested.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FAMILIES, primitives } from './families.js';

describe('the families of conformance', () => {
  it('are all primitives, each once', () => {
    expect(Object.values(FAMILIES).flat().sort()).toEqual(primitives().sort());
  });
  it.each(Object.keys(FAMILIES))('have a file that checks all of %s', (family) => {
    expect(readFileSync(new URL(`conformance-${family}.test.ts`, import.meta.url), 'utf8')).toContain(`await testFamily(FAMILIES.${family}`);
  });
});

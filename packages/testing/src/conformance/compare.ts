// Compares what a kernel wrote with what it should have written, and says where it differs.
import type { TensorData } from '@xmoe/core';
import type { Tolerance } from './case.js';

const SHOWN = 4;

/** Lines about the first differing elements; empty when all pass. */
export function differences(name: string, actual: TensorData, expected: TensorData, tolerance: Tolerance): string[] {
  if (actual.length !== expected.length) return [`${name} has ${actual.length} elements, expected ${expected.length}`];
  const lines: string[] = [];
  let wrong = 0;
  for (let i = 0; i < expected.length; i++) {
    if (passes(actual[i], expected[i], tolerance)) continue;
    if (wrong++ < SHOWN) lines.push(`${name}[${i}] = ${actual[i]}, expected ${expected[i]}`);
  }
  if (wrong > SHOWN) lines.push(`${name}: ${wrong} of ${expected.length} elements differ`);
  return lines;
}

function passes(actual: number, expected: number, tolerance: Tolerance): boolean {
  if (actual === expected) return true;
  if (Number.isNaN(expected)) return Number.isNaN(actual);
  if (tolerance === 'exact') return false;
  // The log of an empty sum: a backend without infinities may answer with a huge number.
  if (!Number.isFinite(expected)) return Math.sign(actual) === Math.sign(expected) && Math.abs(actual) >= 1e30;
  return Math.abs(actual - expected) <= tolerance.absolute + tolerance.relative * Math.abs(expected);
}

// The library that tests of cpu:native run on, or why there is none: what XMOE_BLAS named before the tests took it away, what
// scripts/install-blas.sh installed, what the machine has.
import { fileURLToPath } from 'node:url';
import { delimiter } from 'node:path';
import { findLibrary, thisPlace } from '../src/native/find-library.js';

const installed = fileURLToPath(new URL('../../../.xmoe/blas', import.meta.url));

export type TestLibrary = { readonly file: string; readonly name: string } | { readonly reason: string };

let answer: TestLibrary | undefined;

/** Looked for once per test file; says so where nothing is found. */
export function testLibrary(): TestLibrary {
  return (answer ??= look());
}

function look(): TestLibrary {
  const place = thisPlace();
  const env = { ...place.env, XMOE_BLAS: place.env.XMOE_TEST_BLAS, PYTHONPATH: [installed, place.env.PYTHONPATH].filter(Boolean).join(delimiter) };
  try {
    const { name, link } = findLibrary({ threads: 2, place: { ...place, env } });
    return { file: link.library, name };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    process.stdout.write(`cpu:native was not tested: ${reason}\n`);
    return { reason };
  }
}

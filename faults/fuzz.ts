// Fuzzed files: every reader takes changed copies of files it reads. Each is read, or refused with the project's own error in one line
// without control characters; nothing else is thrown, nothing rejects where nobody can catch it, no prototype is changed.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { isXMoEError } from '@xmoe/core';
import { createTargets, type FuzzTarget } from './fuzz-targets.js';
import { createRandom, createTally, type FaultResult, type SectionOptions } from './result.js';

/** Failures that are described; the rest are only counted. */
const DESCRIBED = 20;

export async function fuzz({ folder, share, seed, say }: SectionOptions): Promise<FaultResult[]> {
  const stray: unknown[] = [];
  const onStray = (reason: unknown): void => void stray.push(reason);
  process.on('unhandledRejection', onStray);
  try {
    const own = join(folder, 'fuzz');
    mkdirSync(own, { recursive: true });
    const results: FaultResult[] = [];
    for (const [name, target] of Object.entries(await createTargets(own))) {
      results.push(await fuzzTarget(name, target, Math.ceil(target.cases * share), seed, stray));
      say(`${name}: ${results.at(-1)!.passed} of ${results.at(-1)!.tried}`);
    }
    return results;
  } finally {
    process.off('unhandledRejection', onStray);
  }
}

async function fuzzTarget(name: string, target: FuzzTarget, cases: number, seed: number, stray: unknown[]): Promise<FaultResult> {
  const tally = createTally('F12, F25, S2, S3', `fuzzed ${name}: read, or refused with a message of one line`);
  let failures = 0;
  for (let at = 0; at < cases; at++) {
    // A stream of its own for each case, so that one can be repeated alone.
    const random = createRandom(seed * 1_000_003 + at);
    const problems = await problemsOf(() => target.run((count) => Math.floor(random() * count)));
    if (at % 100 === 99 || at === cases - 1) await new Promise((resolve) => setImmediate(resolve)); // rejections nobody waits for are told now
    problems.push(...stray.splice(0).map((reason) => `a rejection that nobody can catch: ${String(reason)}`));
    if (problems.length > 0 && ++failures > DESCRIBED) problems.splice(0, problems.length, 'as above, or otherwise');
    tally.add(`case ${at}`, problems);
  }
  return tally.result();
}

async function problemsOf(read: () => unknown): Promise<string[]> {
  const problems: string[] = [];
  try {
    await read();
  } catch (error) {
    if (!isXMoEError(error)) problems.push(`threw ${error instanceof Error ? error.stack?.split('\n').slice(0, 3).join(' | ') : String(error)}`);
    else if (/[\p{Cc}\u2028\u2029]/u.test(error.message)) problems.push(`its message is not one plain line: ${JSON.stringify(error.message.slice(0, 200))}`);
  }
  if ('polluted' in {}) problems.push('the prototype of objects was changed');
  return problems;
}

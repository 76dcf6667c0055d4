// Fuzzed arguments: the public functions of core, routers and moe take what is no argument of theirs. Each call works or is refused with
// the project's own error. The tests of these packages do it with one seed; here it is done with one seed after another.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createTally, eachOf, type FaultResult, type SectionOptions } from './result.js';

const root = fileURLToPath(new URL('../', import.meta.url));
const FILES = ['packages/core/test/argument-fuzz.test.ts', 'packages/routers/test/arguments.test.ts', 'packages/moe/test/arguments.test.ts'];
/** Of the full form; each is 300 to 400 calls of every function. */
const SEEDS = 50;

/** Failures are named with the seed that shows them: `XMOE_FUZZ_SEED=7 npx vitest run …`. */
export async function fuzzArguments({ folder, share, jobs, seed, say }: SectionOptions): Promise<FaultResult[]> {
  const tally = createTally('—', 'fuzzed arguments of core, routers and moe, a seed after another: works, or is refused with an error of its own');
  const seeds = Array.from({ length: Math.ceil(SEEDS * share) }, (_, at) => seed * SEEDS + at);
  await eachOf(seeds, jobs, async (one) => {
    for (const { name, problems } of await runTests(join(folder, `${one}.json`), one)) tally.add(`seed ${one}: ${name}`, problems);
    say(`seed ${one}`);
  });
  return [tally.result()];
}

interface TestReport {
  testResults: { name: string; status: string; message: string; assertionResults: { fullName: string; status: string; failureMessages: string[] }[] }[];
}

async function runTests(file: string, seed: number): Promise<{ name: string; problems: string[] }[]> {
  const vitest = join(createRequire(import.meta.url).resolve('vitest/package.json'), '..', 'vitest.mjs');
  const child = spawn(process.execPath, [vitest, 'run', '--reporter=json', `--outputFile=${file}`, ...FILES], {
    cwd: root, stdio: 'ignore', env: { ...process.env, XMOE_FUZZ_SEED: String(seed) },
  });
  await new Promise((resolve) => child.once('close', resolve));
  const { testResults } = JSON.parse(readFileSync(file, 'utf8')) as TestReport;
  return testResults.flatMap(({ name, status, message, assertionResults }) =>
    assertionResults.length === 0 && status === 'failed'
      ? [{ name, problems: [message] }]
      : assertionResults.map((test) => ({ name: test.fullName, problems: test.status === 'passed' ? [] : test.failureMessages.map((text) => text.split('\n')[0]!) })),
  );
}

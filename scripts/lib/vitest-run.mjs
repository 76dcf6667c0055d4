// Runs vitest in the foreground and counts its results. Decides nothing about what else is run.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readJson, root } from './repository.mjs';
import { toolEnvironment } from './toolchain.mjs';

/** Counts of a vitest JSON report. A file that could not be loaded has no tests but is one failure. */
export function countResults(report) {
  const broken = report.testResults
    .filter(({ status, assertionResults }) => status === 'failed' && !assertionResults.some((test) => test.status === 'failed'))
    .length;
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

/** Runs vitest with extra arguments; `built` says that what is built is what the sources are. Resolves to `{ passed, failed, skipped, note }`, or to `{ refused }`: why it does not take them. */
export async function runVitest(args, { built = false } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'xmoe-vitest-'));
  try {
    const reportFile = join(folder, 'report.json');
    const { code, refused } = await inherit([join(root, 'node_modules', 'vitest', 'vitest.mjs'), 'run', '--passWithNoTests=false',
      '--reporter=default', '--reporter=json', `--outputFile.json=${reportFile}`, ...args], built);
    if (refused !== undefined) return { refused };
    if (!existsSync(reportFile)) return { passed: 0, failed: 1, skipped: 0, note: `vitest wrote no report (exit code ${code})` };
    const counts = countResults(readJson(reportFile));
    if (counts.passed + counts.failed === 0) return { ...counts, failed: 1, note: 'no test ran' };
    // An error outside any test fails the run although every test passed.
    if (code !== 0 && counts.failed === 0) return { ...counts, failed: 1, note: `vitest ended with exit code ${code}` };
    return counts;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const inherit = (args, built) => new Promise((resolve) => {
  const child = spawn(process.execPath, args,
    { cwd: root, env: toolEnvironment({ XMOE_TEST_BUILT: built ? '1' : '' }), stdio: ['ignore', 'inherit', 'pipe'] });
  let refused;
  child.stderr.once('data', (chunk) => {
    // What it makes of arguments that it does not know: an error that nobody catches, with a stack.
    refused = /^CACError: (.*)$/m.exec(chunk.toString())?.[1];
    if (refused !== undefined) return void child.stderr.resume();
    process.stderr.write(chunk);
    child.stderr.pipe(process.stderr);
  });
  child.on('error', () => resolve({ code: 127 }));
  child.on('close', (code) => resolve({ code: code ?? 1, refused }));
});

// The scripts behind `npm start` and `npm test`: counting, refusing and passing on signals. Installs nothing.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { STAGE_NAMES } from '../scripts/lib/stages.mjs';
import { countResults } from '../scripts/lib/vitest-run.mjs';

const root = fileURLToPath(new URL('../', import.meta.url));
const windows = process.platform === 'win32';

describe('counting', () => {
  const report = { numPassedTests: 5, numFailedTests: 1, numPendingTests: 2, numTodoTests: 1 };

  it('takes vitest\'s numbers', () => {
    const testResults = [{ status: 'failed', assertionResults: [{ status: 'failed' }] }];
    expect(countResults({ ...report, testResults })).toEqual({ passed: 5, failed: 1, skipped: 3 });
  });

  it('counts a file that does not load as a failure', () => {
    const testResults = [{ status: 'failed', assertionResults: [] }, { status: 'passed', assertionResults: [] }];
    expect(countResults({ ...report, testResults })).toEqual({ passed: 5, failed: 2, skipped: 3 });
  });
});

describe('npm test', () => {
  const test = (...args: string[]) =>
    spawnSync(process.execPath, [join(root, 'scripts', 'test.mjs'), ...args],
      { cwd: root, encoding: 'utf8', env: { ...process.env, XMOE_NO_INSTALL: '1' } });
  const lastLine = (text: string) => text.trimEnd().split('\n').at(-1);

  it('names the stages when one is unknown', () => {
    const { status, stderr } = test('--only', 'lnt');
    expect(status).toBe(2);
    expect(stderr).toBe(`--only: unknown stage lnt; stages: ${STAGE_NAMES.join(', ')}\n`);
  });

  it('ends with the count and fails when no test ran', () => {
    const { status, stdout } = test('--only', 'tests', 'no-such-test-file');
    expect(status).toBe(1);
    expect(lastLine(stdout)).toBe('0 passed, 1 failed');
  });

  it('ends with the count and passes when the tests pass', () => {
    const { status, stdout } = test('test/scripts.test.ts', '-t', 'takes vitest');
    expect(status, stdout).toBe(0);
    expect(lastLine(stdout)).toMatch(/^1 passed, 0 failed(, \d+ skipped)?$/);
  });
});

describe('an old Node', () => {
  it('is told what is needed', () => {
    const check = pathToFileURL(join(root, 'scripts', 'lib', 'node-version.mjs')).href;
    const script = `Object.defineProperty(process.versions, 'node', { value: '18.19.0' }); await import('${check}');`;
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^xmoe needs Node 20 or newer; this is Node 18\.19\.0/);
  });
});

describe.runIf(!windows)('a foreground child', () => {
  const child = pathToFileURL(join(root, 'scripts', 'lib', 'child.mjs')).href;

  /** Starts a parent whose child counts signals and, 700 ms after the first, ends with code 40 + their number. */
  function startParent() {
    const counting = `let count = 0; for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => {
      if (count++ === 0) setTimeout(() => process.exit(40 + count), 700); });
      setInterval(() => {}, 1000); console.log('ready');`;
    const script = `import { foreground } from '${child}';
      process.exitCode = await foreground(process.execPath, ['-e', ${JSON.stringify(counting)}]);`;
    // A group of its own stands for the terminal's: a key press signals every process in it.
    return spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  }

  it.each(['SIGINT', 'SIGTERM'] as const)('gets one %s for one key press, and is waited for', async (signal) => {
    const parent = startParent();
    await once(parent.stdout!, 'data');
    process.kill(-parent.pid!, signal); // the terminal
    await setTimeout(30); // apart, or the system would merge the two into one
    process.kill(parent.pid!, signal); // npm passes the same one on
    const [code] = await once(parent, 'close');
    expect(code).toBe(41);
  });

  it('reports a death by signal as a shell does', () => {
    const script = `import { foreground } from '${child}';
      process.exitCode = await foreground(process.execPath, ['-e', 'process.kill(process.pid, "SIGKILL")']);`;
    expect(() => execFileSync(process.execPath, ['--input-type=module', '-e', script])).toThrow(
      expect.objectContaining({ status: 137 }));
  });
});

// What an edit makes new for turbo, in a copy of the repository: the packages above the edited one, and no others. Runs no task.
import { execFileSync } from 'node:child_process';
import { appendFileSync, cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readJson, workspacePackages } from '../scripts/lib/repository.mjs';
import { toolEnvironment } from '../scripts/lib/toolchain.mjs';

const root = fileURLToPath(new URL('../', import.meta.url));
const copy = mkdtempSync(join(tmpdir(), 'xmoe-turbo-'));
afterAll(() => rmSync(copy, { recursive: true, force: true }));

beforeAll(() => {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28 });
  for (const path of listed.split('\0').filter((name) => name !== '' && existsSync(join(root, name)))) cpSync(join(root, path), join(copy, path));
});

/** The hash of every task that has a script, by `package#task`. */
function hashes(): Map<string, string> {
  const turbo = join(root, 'node_modules', 'turbo', 'bin', 'turbo');
  const text = execFileSync(process.execPath, [turbo, 'run', 'build', 'test', 'typecheck', 'lint', '--dry=json'], { cwd: copy, env: toolEnvironment(), stdio: ['ignore', 'pipe', 'ignore'], encoding: 'utf8', maxBuffer: 1 << 28 });
  const { tasks } = JSON.parse(text) as { tasks: { taskId: string; hash: string; command: string }[] };
  return new Map(tasks.filter(({ command }) => command !== '<NONEXISTENT>').map(({ taskId, hash }) => [taskId.replace('@xmoe/', ''), hash]));
}

/** The packages whose `task` an edit of `file` makes new. */
function madeNew(file: string): (task: string) => string[] {
  const before = hashes();
  appendFileSync(join(copy, file), '// An edit.\n');
  const changed = [...hashes()].filter(([id, hash]) => before.get(id) !== hash).map(([id]) => id);
  return (task) => changed.filter((id) => id.endsWith(`#${task}`)).map((id) => id.replace(/#.*/, '')).sort();
}

it('every package has the four tasks that it can have, and the root depends on none of ours', () => {
  const known = hashes();
  for (const { manifest } of workspacePackages()) {
    const short = manifest.name.replace('@xmoe/', '');
    for (const task of ['test', 'typecheck', 'lint']) expect(known.has(`${short}#${task}`), `${short}#${task}`).toBe(true);
  }
  const { dependencies = {}, devDependencies } = readJson(join(root, 'package.json'));
  expect(Object.keys({ ...dependencies, ...devDependencies }).filter((name) => name.startsWith('@xmoe/'))).toEqual([]);
});

it('an edit in routers leaves what does not use them', () => {
  const task = madeNew('packages/routers/src/top-k.ts');
  for (const kept of ['core', 'metrics', 'files', 'text', 'backend-cpu', 'backend-webgpu', 'backend-tfjs', 'backends']) {
    for (const name of ['build', 'test', 'typecheck', 'lint']) expect(task(name), name).not.toContain(kept);
  }
  // And runs again what does, tests that reach upwards included.
  expect(task('build')).toEqual(expect.arrayContaining(['lm-pretrain', 'moe', 'nmt', 'routers']));
  expect(task('test')).toEqual(expect.arrayContaining(['bench', 'lm-pretrain', 'moe', 'nmt', 'nn', 'routers', 'testing']));
});

it('an edit of a test runs the tests of its package alone; one of a document nothing', () => {
  const ofTest = madeNew('packages/moe/test/plan.test.ts');
  expect(ofTest('test')).toEqual(['moe']);
  expect(ofTest('build')).toEqual([]);
  const ofDocument = madeNew('README.md');
  expect(['build', 'test', 'typecheck', 'lint'].flatMap(ofDocument)).toEqual([]);
});

it('an edit in a backend runs the tests of core that compute on it', () => {
  expect(madeNew('packages/backend-cpu/src/index.ts')('test')).toContain('core');
});

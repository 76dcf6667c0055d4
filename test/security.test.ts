// What the sources do not do: run text as code, load modules that a file names, hand text to a shell, run scripts at install time.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { root as repositoryRoot, workspacePackages } from '../scripts/lib/repository.mjs';

const root = fileURLToPath(new URL('../', import.meta.url));

const sources = ['packages', 'apps'].flatMap((group) => readdirSync(join(root, group)).flatMap((name) => {
  const folder = join(group, name, 'src');
  return (readdirSync(join(root, folder), { recursive: true }) as string[]).filter((file) => file.endsWith('.ts')).map((file) => join(folder, file).replaceAll('\\', '/'));
})).map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));

/** Files in which a pattern occurs outside of comments. */
function filesWith(pattern: RegExp): string[] {
  return sources.filter(({ text }) => pattern.test(text.replace(/\/\*[^]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1'))).map(({ path }) => path);
}

describe('the sources', () => {
  it('S1: run no text as code', () => {
    expect(sources.length).toBeGreaterThan(300);
    // Both compile a constant: the text that workers run as well, and `work()`, for the deadline that comes with it.
    expect(filesWith(/\beval\s*\(|\bnew Function\b|node:vm\b/)).toEqual(['packages/backend-cpu/src/native/open-library.ts', 'packages/text/src/data/within-deadline.ts']);
  });

  it('S1: load no module by a name that they do not hold themselves', () => {
    // Each imports one of a few names that stand in the file; the comments there say why it is not written as a literal.
    expect(filesWith(/\bimport\s*\(\s*(?:\/\*[^]*?\*\/\s*)*[^'"`\s/]/)).toEqual([
      'packages/backend-cpu/src/engine/platform.ts',
      'packages/backend-webgpu/src/device/open-gpu.ts',
      'packages/backend-webgpu/src/device/probe-adapter.ts',
      'packages/backend-webgpu/src/tuning/choice-store.ts',
      'packages/testing/src/threads/run-threads.ts', // the program of a test
    ]);
  });

  it('S6: start no process by a shell', () => {
    expect(filesWith(/\bexec(?:Sync)?\s*\(\s*['"`]|\bshell\s*:|\bexecSync\b/)).toEqual([]);
    const starting = filesWith(/child_process/).filter((path) => !path.startsWith('packages/testing/'));
    // Each hands arguments over as a list. They ask another Node what may end a process, one builds an addon, one starts runs of an experiment, one the ranks of a run when a user says so, and two what ends them.
    expect(starting).toEqual([
      'packages/backend-cpu/src/engine/child.ts',
      'packages/backend-cpu/src/engine/platform.ts',
      'packages/backend-cpu/src/native/open-library.ts',
      'packages/backend-tfjs/src/native/child.ts',
      'packages/backend-webgpu/src/device/probe-adapter.ts',
      'packages/distributed/src/launch/guard.ts',
      'packages/distributed/src/launch/run-launcher.ts',
      'packages/distributed/src/mpi/watchdog.ts',
      'packages/program/src/experiments/child-program.ts',
    ]);
  });
});

describe('the packages', () => {
  it('S7: run no script when they are installed, and let no dependency run one', () => {
    expect(repositoryRoot).toBe(root);
    const hooks = workspacePackages().flatMap(({ directory, manifest }) =>
      Object.keys((manifest as { scripts?: object }).scripts ?? {}).filter((name) => /^(pre|post)?install$|^(pre|post)?prepare$/.test(name)).map((name) => `${directory}: ${name}`));
    expect(hooks).toEqual([]);
    expect(readFileSync(join(root, 'pnpm-workspace.yaml'), 'utf8')).toMatch(/^onlyBuiltDependencies: \[\]$/m);
  });
});

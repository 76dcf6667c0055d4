// A stranger's empty project that installs only the packed routers: nothing native comes along, it runs and it
// type-checks. Builds and packs by itself; reads no registry.
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { capture } from '../scripts/lib/child.mjs';
import { turbo } from '../scripts/lib/progress.mjs';
import { pack } from '../scripts/lib/tarballs.mjs';
import { toolEnvironment } from '../scripts/lib/toolchain.mjs';

const folder = mkdtempSync(join(tmpdir(), 'xmoe-consumer-'));
const project = join(folder, 'project');

/** Runs a command in the consumer's project; fails the test with all it printed. */
async function succeed(command: string, args: string[], options: object = {}): Promise<string> {
  const { code, output } = await capture(command, args, { cwd: project, env: consumerEnvironment(), ...options });
  expect(code, `${command} ${args.join(' ')}\n${output}`).toBe(0);
  return output;
}

/** Nothing of this repository's test run may reach the consumer: no export condition, no loader. */
function consumerEnvironment(): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = { ...toolEnvironment() };
  delete environment.NODE_OPTIONS;
  return environment;
}

const write = (name: string, content: string | object) =>
  writeFileSync(join(project, name), typeof content === 'string' ? content : JSON.stringify(content, null, 2));

/** Every package in node_modules by name, nested ones too. */
function installedPackages(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .flatMap((entry) => {
      const path = join(directory, entry.name);
      if (entry.name.startsWith('@')) return readdirSync(path).map((name) => `${entry.name}/${name}`);
      return [entry.name];
    });
}

beforeAll(async () => {
  mkdirSync(project);
  const built = await turbo(['build', '--filter=@xmoe/routers']);
  expect(built.code, built.output).toBe(0);
  const tarballs = await pack(['@xmoe/core', '@xmoe/routers'], join(folder, 'tarballs'));
  write('package.json', { name: 'consumer', version: '1.0.0', private: true, type: 'module' });
  // A registry that nobody answers at and a fresh cache: whatever is not in the two tarballs cannot be installed.
  await succeed('npm', ['install', '--offline', '--ignore-scripts', '--no-audit', '--no-fund',
    '--registry=http://127.0.0.1:9/', `--cache=${join(folder, 'cache')}`, ...Object.values(tarballs)],
    { shell: process.platform === 'win32' });
}, 180_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('packed @xmoe/routers', () => {
  it('installs with @xmoe/core and nothing else', () => {
    expect(installedPackages(join(project, 'node_modules')).sort()).toEqual(['@xmoe/core', '@xmoe/routers']);
  });

  it('routes without a backend', async () => {
    write('route.mjs', `
      import { routeThreshold } from '@xmoe/routers/reference';
      import * as routers from '@xmoe/routers';
      import * as byName from '@xmoe/routers/by-name';
      const routing = routeThreshold([[5, 0, 0, 0], [0, 0, 0, 0]], { threshold: 0.9 });
      console.log(JSON.stringify({
        counts: [...routing.counts],
        expertIds: [...routing.expertIds],
        exports: Object.keys(routers).length,
        named: byName.ROUTER_TYPES.length,
      }));
    `);
    const { counts, expertIds, exports, named } = JSON.parse(await succeed(process.execPath, ['route.mjs']));
    // 5 against three zeros: p = 0.98 crosses 0.9 alone. Four equal p of 0.25: 0.9 needs all four.
    expect(counts).toEqual([1, 4]);
    expect(expertIds).toEqual([0, -1, -1, -1, 0, 1, 2, 3]);
    expect(exports).toBeGreaterThan(0);
    expect(named).toBeGreaterThan(5);
  });

  it('type-checks in a strict nodenext project, and refuses a wrong call', async () => {
    const tsc = join(createRequire(import.meta.url).resolve('typescript/package.json'), '..', 'bin', 'tsc');
    write('tsconfig.json', { compilerOptions: {
      module: 'nodenext', moduleResolution: 'nodenext', target: 'es2022', lib: ['ES2023', 'ESNext.Disposable'],
      strict: true, noEmit: true, types: [], skipLibCheck: false,
    }, files: ['consumer.ts'] });
    write('consumer.ts', `
      import { routeThreshold } from '@xmoe/routers/reference';
      import * as routers from '@xmoe/routers';
      import * as byName from '@xmoe/routers/by-name';
      const routing = routeThreshold([[1, 2]], { threshold: 0.9 });
      export const everything: object = [routing, routers, byName];
      // @ts-expect-error a configuration names its options
      byName.createRouter({ type: 'threshold', thresold: 0.9 });
      // @ts-expect-error a threshold is a number
      routeThreshold([[1, 2]], { threshold: 'high' });
    `);
    await succeed(process.execPath, [tsc, '-p', 'tsconfig.json']);
  });
});

// What the scripts of package.json answer to --help, to an unknown flag, to a flag without its value and to an unknown name: help, or one line
// and exit code 2, and no stack. The two programs' own commands are in their tests: start, nmt:demo and reproduce only start them.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { XMoEError } from '@xmoe/core';
import { describe, expect, it } from 'vitest';
import { parseOptions as parseGpuOptions } from '../bench/gpu/options.js';
import { parseOptions as parseLaunchOptions } from '../bench/launches.js';
import { parseOptions as parseBenchOptions } from '../bench/options.js';
import { parseOptions as parseFaultOptions } from '../faults/options.js';

const root = fileURLToPath(new URL('../', import.meta.url));
const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;

/** A script as it is, or the TypeScript that it runs once all is built. */
async function run(path: string, args: readonly string[]) {
  const loader = path.endsWith('.ts') ? ['--conditions=@xmoe/source', '--import', tsx] : [];
  const child = spawn(process.execPath, [...loader, join(root, path), ...args], { cwd: root, env: { ...process.env, XMOE_NO_INSTALL: '1' }, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  const [output, messages, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, output, messages };
}

interface Row {
  readonly path: string;
  /** Command lines that it must refuse. */
  readonly wrong: readonly (readonly string[])[];
}

/** By script of package.json, what it runs. */
const SCRIPTS: Readonly<Record<string, readonly Row[]>> = {
  test: [{ path: 'scripts/test.mjs', wrong: [['--only'], ['--only', 'lnt'], ['--only=lint,tset'], ['--no-such-flag'], ['-t']] }],
  bench: [{ path: 'bench/main.ts', wrong: [['--quik']] }, { path: 'bench/translation.ts', wrong: [['--seeds', '--out']] }, { path: 'bench/scaling.ts', wrong: [['--gbit'], ['--gflops', 'x']] }],
  gpu: [
    { path: 'bench/gpu/main.ts', wrong: [['--only', 'stp tiny']] },
    { path: 'scripts/gpu.mjs', wrong: [['--bundle'], ['--bundle', '--small'], ['--bundle='], ['--bundle', 'a', '--small']] },
  ],
  launches: [{ path: 'bench/launches.ts', wrong: [['--jsn']] }],
  'tfjs:native': [{ path: 'packages/backend-tfjs/src/native/cli.ts', wrong: [['--gpuu'], ['--tensorflow'], ['surplus']] }],
  tarballs: [{ path: 'scripts/tarballs.mjs', wrong: [[], ['--fodler'], ['a', 'b']] }],
  faults: [{ path: 'faults/main.ts', wrong: [['--only', 'kils']] }, { path: 'faults/presets.mjs', wrong: [['--frseh'], ['124m-dens']] }],
};

/** Those that only start a program, and tools of others. */
const ELSEWHERE = ['start', 'nmt:demo', 'reproduce', 'build', 'typecheck', 'lint', 'vitest', 'changeset'];

const ROWS = Object.values(SCRIPTS).flat();

it('are all the scripts there are', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> };
  expect(Object.keys(scripts).sort()).toEqual([...Object.keys(SCRIPTS), ...ELSEWHERE].sort());
});

// The script of the GPU hands --help on to what it bundles first.
it.each(ROWS.filter(({ path }) => path !== 'scripts/gpu.mjs'))('$path answers --help', async ({ path }) => {
  const { code, output, messages } = await run(path, ['--help']);
  expect(code, messages).toBe(0);
  expect(output).toMatch(/--help +this text/);
  expect(output).not.toContain('undefined');
  expect(messages).toBe('');
});

describe.each(ROWS)('$path', ({ path, wrong }) => {
  it.each(wrong.map((args) => ({ args })))('refuses $args in one line', async ({ args }) => {
    const { code, output, messages } = await run(path, args);
    expect(code, messages).toBe(2);
    expect(output).toBe('');
    expect(messages).toMatch(/^[^\n]+\n$/);
  });
});

describe('flags', () => {
  it.each([
    ['bench', parseBenchOptions], ['gpu', parseGpuOptions], ['launches', parseLaunchOptions],
    ['faults', (args: readonly string[]) => parseFaultOptions(args, ['kills', 'soak'])],
  ] as const)('of %s are refused by name when they are unknown, lack their value or name what there is not', (name, parse) => {
    const messageOf = (...args: string[]): string => {
      try {
        parse(args);
      } catch (error) {
        return `${(error as XMoEError).message} (${(error as XMoEError).hint})`;
      }
      return 'nothing';
    };
    expect(messageOf('--hlep')).toBe(`${name}: unknown option "--hlep" (did you mean "--help"?)`);
    expect(messageOf('--only')).toBe(`${name}: Option '--only <value>' argument missing (see --help)`);
    expect(messageOf('--only', '--help')).toBe(`${name}: Option '--only' argument is ambiguous (see --help)`);
    expect(messageOf('--only', ' , ')).toBe(`${name}: --only names nothing (separate names by commas)`);
    expect(messageOf('--only', 'xyz')).toMatch(new RegExp(`^${name}: unknown \\w+ "xyz" \\(known: `));
    expect(messageOf('--help=yes')).toBe(`${name}: Option '-h, --help' does not take an argument (see --help)`);
    expect(messageOf('xyz')).toBe(`${name}: Unexpected argument 'xyz' (see --help)`);
    expect(messageOf('--', '--help')).toBe('nothing');
    expect(messageOf('-h')).toBe('nothing');
  });
});

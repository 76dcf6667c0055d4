// A page made with Vite, one with webpack and one with plain esbuild, of the packages as users get them: in Chromium each loads every
// entry for browsers, encodes, routes, and trains a model with threads. Needs a Chromium; without one the file says so and these do not run.
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BROWSER_ENTRIES, TABLE } from '../scripts/checks/boundaries.mjs';
import { CHROMIUM_ARGUMENTS, findChromium } from '../scripts/lib/chromium.mjs';
import { serveFolder } from './browser/site.js';
import { BUNDLERS, makeProject } from './pages/bundlers.js';

const manifestOf = (folder: string): { publishConfig?: { exports: object } } =>
  JSON.parse(readFileSync(new URL(`../${folder}/package.json`, import.meta.url), 'utf8')) as { publishConfig?: { exports: object } };

const found = findChromium();
if (found.reason) process.stdout.write(`pages by bundlers did not run: ${found.reason}\n`);

it('loads every entry that runs in a page', () => {
  const loaded = readFileSync(new URL('pages/entries.mjs', import.meta.url), 'utf8');
  const entries = Object.entries(TABLE).filter(([, { node }]) => !node).flatMap(([folder]) => Object.keys(manifestOf(folder).publishConfig?.exports ?? {}).map((entry) => ({ folder, entry })));
  entries.push(...Object.entries(BROWSER_ENTRIES).flatMap(([folder, names]) => names.map((entry) => ({ folder, entry }))));
  expect(entries.length).toBeGreaterThan(15);
  for (const { folder, entry } of entries) expect(loaded).toContain(`'@xmoe/${folder.replace('packages/', '')}${entry.slice(1)}'`);
});

interface Seen {
  names: number[];
  tokens: number[];
  decoded: string;
  parameters: number[];
  experts: number[];
}

describe.runIf(found.path)('a page made with', () => {
  const folder = mkdtempSync(join(tmpdir(), 'xmoe-pages-'));
  const project = join(folder, 'project');
  let browser: Browser | undefined;
  beforeAll(async () => {
    mkdirSync(project);
    await makeProject(project);
    browser = await chromium.launch({ executablePath: found.path, args: CHROMIUM_ARGUMENTS });
  }, 300_000);
  afterAll(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it.each(Object.keys(BUNDLERS))('%s', async (name) => {
    const out = join(folder, name);
    await BUNDLERS[name]!(project, out);
    const site = await serveFolder(out);
    try {
      const page = await browser!.newPage();
      // An error of the page ends the wait.
      const failed = new Promise<never>((_, reject) => page.on('pageerror', reject));
      await page.goto(site.url);
      await Promise.race([page.waitForFunction('globalThis.seen'), failed]);
      const seen = await page.evaluate('globalThis.seen') as Seen;
      for (const count of seen.names) expect(count).toBeGreaterThan(0);
      expect(seen).toMatchObject({ tokens: [15496, 11, 995], decoded: 'naïve café 🎓', parameters: [236992, 29], experts: [3, 1] });
      const [, kind, first, last] = /^CPU, (.*), WebAssembly.*: loss (\d\.\d+) → (\d\.\d+) in 20 steps, \d{4,} bytes of weights$/.exec(await page.evaluate('document.body.textContent') as string)!;
      expect(kind).toMatch(/threads/);
      expect(Number(last)).toBeLessThan(Number(first) / 3);
    } finally {
      await site.close();
    }
  });
});

// The packages in a page: the bundles that users get, in the Chromium of this machine, with threads where the page is
// cross-origin isolated and without where it is not. Needs a Chromium; without one the file says so and these tests do not run.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chromium, type Browser, type Page } from 'playwright-core';
import { CHROMIUM_ARGUMENTS, findChromium } from '../scripts/lib/chromium.mjs';
import * as program from './browser/program.mjs';
import { bundlePackages, serveSite, type Site } from './browser/site.js';

const found = findChromium();
if (found.reason) process.stdout.write(`browser tests did not run: ${found.reason}\n`);

type Program = typeof program;

/** A page of the site, and the program in it. */
interface Visit {
  readonly site: Site;
  readonly page: Page;
  call<Name extends keyof Program>(name: Name, options: object): Promise<Awaited<ReturnType<Program[Name]>>>;
}

it('the browser that XMOE_CHROMIUM names is taken, or said not to run', () => {
  expect(findChromium({ XMOE_CHROMIUM: process.execPath })).toEqual({ path: process.execPath });
  expect(findChromium({ XMOE_CHROMIUM: '/no/such/browser' }).reason).toBe('XMOE_CHROMIUM is /no/such/browser, which cannot be run');
});

describe.runIf(found.path)('in Chromium', () => {
  const visits: Visit[] = [];
  let folder: string;
  let browser: Browser | undefined;
  let expected: number[];

  async function visit(isolated: boolean): Promise<Visit> {
    const site = await serveSite(folder, { isolated });
    const page = await browser!.newPage();
    const problems: string[] = [];
    page.on('pageerror', (error) => problems.push(error.message));
    await page.goto(site.url);
    expect(await page.evaluate('crossOriginIsolated')).toBe(isolated);
    const made: Visit = {
      site,
      page,
      async call(name, options) {
        const result = await page.evaluate(`import('/program.mjs').then((program) => program.${name}(${JSON.stringify(options)}))`);
        expect(problems).toEqual([]);
        return result as never;
      },
    };
    visits.push(made);
    return made;
  }

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'xmoe-browser-'));
    await bundlePackages(folder);
    browser = await chromium.launch({ executablePath: found.path, args: CHROMIUM_ARGUMENTS });
    ({ losses: expected } = await program.train({ threads: 1 }));
  }, 180_000);

  afterAll(async () => {
    await browser?.close();
    await Promise.all(visits.map(({ site }) => site.close()));
    rmSync(folder, { recursive: true, force: true });
  });

  /** Near the losses of Node, which fall. */
  function expectNear(losses: readonly number[]): void {
    expect(losses.length).toBe(20);
    expect(losses[19]!).toBeLessThan(0.1 * losses[0]!);
    losses.forEach((loss, step) => expect(Math.abs(loss / expected[step]! - 1), `step ${step + 1}`).toBeLessThan(1e-3));
  }

  it('an isolated page computes on several threads, as Node does', async () => {
    const { call } = await visit(true);
    const { count, problems } = await call('conformance', { threads: 2 });
    expect(problems).toEqual([]);
    expect(count).toBeGreaterThan(500);
    const two = await call('train', { threads: 2 });
    expect(two.description).toMatch(/^CPU, 2 threads, WebAssembly/);
    expectNear(two.losses);
    expect((await call('train', { threads: 1 })).losses).toEqual(two.losses);
    expect((await call('train', { variant: 'simd' })).description).toMatch(/threads, WebAssembly SIMD$/);
  }, 180_000);

  it('any other page computes on one thread, and refuses more', async () => {
    const { call } = await visit(false);
    const { description, losses } = await call('train', {});
    expect(description).toMatch(/^CPU, one thread, WebAssembly/);
    expectNear(losses);
    expect(await call('failure', { threads: 2 })).toMatchObject({ code: 'backend', message: expect.stringContaining('not cross-origin isolated'), hint: expect.stringContaining('threads: 1') });
  }, 180_000);

  it('a page with WebGPU passes the conformance cases and trains as Node does', async () => {
    const { call } = await visit(false);
    const { count, problems, description } = await call('conformance', { backend: 'webgpu' });
    expect(problems).toEqual([]);
    expect(count).toBeGreaterThan(150);
    expect(description).toMatch(/^WebGPU on /);
    const { losses, description: trained } = await call('train', { backend: 'webgpu' });
    expect(trained).toBe(description);
    expectNear(losses);
  }, 400_000);

  it('without its .wasm files the error says what to serve', async () => {
    const { call, page } = await visit(true);
    await page.route('**/*.wasm', (route) => route.fulfill({ status: 404, body: '' }));
    expect(await call('failure', {})).toMatchObject({ code: 'backend', message: expect.stringMatching(/compiled kernels are missing: http.*\.wasm$/), hint: expect.stringContaining('serve') });
  }, 60_000);
});

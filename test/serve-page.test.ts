// The page of serve in Chromium, at the width of a phone and in the dark: it continues a text and shades its tokens, keys reach them, and
// nothing that a text holds becomes part of the page. Needs a Chromium; without one the file says so and this does not run.
import { copyOldRun, createHarness, temporaryFolder, waitUntil } from '@xmoe/testing/programs';
import { chromium } from 'playwright-core';
import { afterAll, expect, it } from 'vitest';
import { CHROMIUM_ARGUMENTS, findChromium } from '../scripts/lib/chromium.mjs';

const found = findChromium();
if (found.reason) process.stdout.write(`the page of serve was not tested: ${found.reason}\n`);

const path = temporaryFolder(afterAll);
const { startProcess } = createHarness({ run: () => Promise.resolve(0), cli: new URL('../apps/lm-pretrain/src/cli.ts', import.meta.url), after: afterAll });

it.runIf(found.path)('continues a text, shades its tokens and stays a page', async () => {
  const running = startProcess('serve', copyOldRun('lm', path('lm')), '--backend', 'cpu:plain', '--port', '0', '--name', '<b>name</b>', '--token', 'correct-horse');
  await waitUntil(running, () => /http:\S+\n/.test(running.output));
  const browser = await chromium.launch({ executablePath: found.path!, args: CHROMIUM_ARGUMENTS });
  try {
    const page = await browser.newPage({ viewport: { width: 390, height: 844 }, colorScheme: 'dark' });
    const problems: string[] = [];
    page.on('pageerror', ({ message }) => problems.push(message));
    page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
    await page.goto(/http:\S+/.exec(running.output)![0]);
    expect(await page.textContent('h1')).toBe('<b>name</b>');
    await page.click('#go');
    await page.waitForSelector('#status.wrong');
    expect(await page.textContent('#status')).toContain('asks for its token');
    problems.length = 0; // the 401
    const prompt = '<img src=x onerror="document.title=1"> of the war ';
    await page.fill('#server-token', 'correct-horse');
    await page.fill('#input', prompt);
    await page.fill('#max-tokens', '12');
    await page.fill('#capacity-factor', '0.5');
    await page.click('#go');
    await page.waitForSelector('#tokens .dropped');
    expect((await page.textContent('#output'))!.length).toBeGreaterThan(prompt.length);
    expect(await page.textContent('#tokens')).toBe(await page.textContent('#output'));
    expect(await page.textContent('#status')).toMatch(/^12 tokens in /);
    await page.focus('#tokens span');
    const first = await page.textContent('#token');
    await page.keyboard.press('End');
    expect(await page.textContent('#token')).not.toBe(first);
    expect(await page.textContent('#token')).toMatch(/^h\.1: \d of 4: /);
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390);
    expect(await page.evaluate('document.images.length')).toBe(0);
    expect(problems).toEqual([]);
  } finally {
    await browser.close();
    running.child.kill('SIGKILL');
  }
}, 120_000);

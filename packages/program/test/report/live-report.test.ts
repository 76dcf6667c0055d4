// The report while a run trains: how much time it may take, that it loads itself again until the end, and that a failure ends nothing.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { temporaryFolder } from '@xmoe/testing/programs';
import { afterAll, describe, expect, it } from 'vitest';
import { createLiveReport } from '../../src/report/live-report.js';

const path = temporaryFolder(afterAll);

/** A run directory with 8 steps and an evaluation, its report on a clock that `tick` moves. */
function liveRun(name: string) {
  const out = path(name);
  mkdirSync(out);
  const rows = Array.from({ length: 8 }, (_, i) => ({ kind: 'step' as const, step: i + 1, loss: 4 - i / 8, learningRate: 0.1, tokens: 64, tokensPerSecond: 128, seconds: 0.5, expertsPerToken: [1.5], dropRate: [0] }));
  writeFileSync(path(name, 'metrics.jsonl'), [...rows, { kind: 'evaluation' as const, step: 8, split: 'validation', loss: 3.2, perplexity: 24.5 }].map((row) => `${JSON.stringify(row)}\n`).join(''));
  writeFileSync(path(name, 'config.json'), '{}');
  const [clock, told] = [{ ms: 0 }, [] as string[]];
  // A report takes so long as the clock moves while it is written: each look at it is a quarter of a second.
  const live = createLiveReport({ out, title: 'tiny', configuration: {}, steps: 20, stream: { write: (text) => void told.push(text) }, now: () => (clock.ms += 250) });
  return { live, clock, told, html: () => readFileSync(path(name, 'report.html'), 'utf8'), there: () => existsSync(path(name, 'report.html')) };
}

describe('createLiveReport', () => {
  it('writes a page that tells how far the run is and loads itself again, until it is settled', async () => {
    const { live, clock, html, there } = liveRun('going');
    await live.write();
    expect(there()).toBe(false); // a run of seconds needs none
    clock.ms = 11_000;
    await live.write();
    for (const text of ['<meta http-equiv="refresh" content="15">', 'step 8 of 20, going on', 'about 6s of training left', '3.200', 'perplexity 24.50', '<svg ']) expect(html()).toContain(text);
    live.settle();
    expect(html()).not.toContain('http-equiv="refresh"');
    expect(html()).toContain('step 8 of 20, stopped');
  });

  it('leaves the report of a finished run alone, and one that it did not write', async () => {
    const { live, clock } = liveRun('finished');
    writeFileSync(path('finished', 'report.html'), 'of before <meta http-equiv="refresh" content="15">\n');
    live.settle();
    expect(readFileSync(path('finished', 'report.html'), 'utf8')).toContain('of before <meta');
    clock.ms = 11_000;
    await live.write();
    writeFileSync(path('finished', 'report.html'), 'the result');
    live.settle();
    expect(readFileSync(path('finished', 'report.html'), 'utf8')).toBe('the result');
  });

  it('takes two seconds or a hundredth of the time, whichever is more', async () => {
    const { live, clock, html } = liveRun('long');
    const written = async (at: number): Promise<boolean> => {
      writeFileSync(path('long', 'report.html'), 'old');
      clock.ms = at;
      await live.write();
      return html() !== 'old';
    };
    const early = [];
    for (let turn = 0; turn < 12; turn++) early.push(await written(11_000 + turn * 1000));
    expect(early).toEqual([...new Array<boolean>(8).fill(true), ...new Array<boolean>(4).fill(false)]); // eight of a quarter of a second
    expect([await written(220_000), await written(240_000), await written(245_000)]).toEqual([false, true, false]);
  }, 60_000);

  it('says once that it cannot be written', async () => {
    const { live, clock, told } = liveRun('torn');
    writeFileSync(path('torn', 'metrics.jsonl'), 'no row\n');
    clock.ms = 11_000;
    await live.write();
    await live.write();
    expect(told).toEqual([expect.stringMatching(/report\.html could not be written while training: .*metrics\.jsonl line 1/)]);
  });
});

// The live display on a terminal and off it, the meters, and the formats.
import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { createProgress, type ProgressOptions } from '../../src/metrics/progress.js';
import { createSmoother, createThroughputMeter } from '../../src/metrics/throughput.js';
import { formatCompact, formatDuration } from '../../src/metrics/format.js';

function display(options: Partial<ProgressOptions> & { isTTY?: boolean; columns?: number } = {}) {
  const clock = { ms: 0 };
  const written: string[] = [];
  const stream = { write: (text: string) => written.push(text), isTTY: options.isTTY ?? true, columns: options.columns ?? 120 };
  const progress = createProgress({ stream, totalSteps: 100, environment: { NO_COLOR: '1' }, now: () => clock.ms, ...options });
  return { clock, written, stream, progress };
}
const update = (step: number) => ({ step, loss: 2, tokensPerSecond: 12_345, expertsPerToken: 1.5, dropRate: 0.031 });

describe('createProgress on a terminal', () => {
  it('shows everything in one line that it redraws in place', () => {
    const { clock, written, progress } = display();
    clock.ms = 10_000;
    progress.update(update(25));
    clock.ms = 20_000;
    progress.update(update(50));
    expect(written).toHaveLength(2);
    const bar = `${'█'.repeat(15)}${'░'.repeat(15)}`;
    expect(written[1]).toBe(
      `\r\u001b[2K${bar}  step 50/100  loss 2.000  20s left  12.3k tok/s  1.50 experts/tok  3.1% dropped`,
    );
    progress.finish();
    expect(written.at(-1)).toBe('\n');
  });

  it('does not take the first steps, which compile and record, for the pace of the others', () => {
    const { clock, written, progress } = display({ firstStep: 10 });
    for (const [step, ms] of [[11, 20_000], [12, 21_000], [13, 22_000], [14, 22_500]] as const) {
      clock.ms = ms;
      progress.update(update(step));
    }
    expect(written.map((line) => /(\S+) left/.exec(line)?.[1])).toEqual([undefined, undefined, undefined, '43s']);
  });

  it('counts the updates that were skipped', () => {
    const { written, progress } = display();
    progress.update({ ...update(25), skippedUpdates: 3 });
    expect(written[0]).toContain('loss 2.000  3 skipped  ');
  });

  it('redraws at most ten times a second, and always the last step', () => {
    const { clock, written, progress } = display();
    for (let step = 1; step <= 100; step++) {
      clock.ms = step * 10;
      progress.update(update(step));
    }
    expect(written.length).toBeLessThanOrEqual(12);
    expect(written.at(-1)).toContain('step 100/100  loss 2.000  done');
  });

  it('never reaches the last column, whatever the width, the most important first', () => {
    fc.assert(
      fc.property(fc.integer({ min: 5, max: 200 }), fc.integer({ min: 0, max: 100 }), (columns, step) => {
        const { written, progress } = display({ columns });
        progress.update(update(step));
        const line = written[0]!.replace('\r\u001b[2K', '');
        expect(line.length).toBeLessThan(columns);
        expect(line).not.toContain('\n');
        if (columns > 50) expect(line).toContain(`step ${step}/100  loss 2.000`);
      }),
    );
  });

  it('takes 80 columns where the terminal does not say how many it has', () => {
    const { written, progress } = display({ columns: 0 });
    progress.update(update(1));
    expect(written[0]).toContain('step 1/100  loss 2.000');
  });

  it('follows a change of the width', () => {
    const { clock, written, stream, progress } = display();
    progress.update(update(1));
    stream.columns = 30;
    clock.ms = 1000;
    progress.update(update(2));
    expect(written[1]!.replace('\r\u001b[2K', '').length).toBeLessThan(30);
  });

  it('uses colour unless NO_COLOR is set', () => {
    const colored = display({ environment: {} });
    colored.progress.update(update(1));
    expect(colored.written[0]).toContain('\u001b[36m');
    const plain = display({ environment: { NO_COLOR: '1' } });
    plain.progress.update(update(1));
    expect(plain.written[0]!.replace('\r\u001b[2K', '')).not.toContain('\u001b');
  });

  it('puts messages above the line', () => {
    const { written, progress } = display();
    progress.update(update(1));
    progress.message('saved');
    expect(written.slice(1, 3).join('')).toBe('\r\u001b[2Ksaved\n');
    expect(written[3]).toContain('step 1/100');
  });

  it('counts the time left from where this process began', () => {
    const { clock, written, progress } = display({ firstStep: 50 });
    for (const step of [55, 60]) {
      clock.ms += 15_000;
      progress.update(update(step));
    }
    expect(written[1]).toContain('2m 00s left');
  });

  it('shows a diverged loss as it is', () => {
    const { written, progress } = display();
    progress.update({ step: 1, loss: Number.NaN });
    expect(written[0]).toContain('loss NaN');
  });
});

describe('createProgress elsewhere', () => {
  it.each([[{ isTTY: false }], [{ environment: { TERM: 'dumb' } }]])('writes plain lines at an interval: %j', (options) => {
    const { clock, written, progress } = display(options);
    for (let step = 1; step <= 100; step++) {
      clock.ms = step * 500;
      progress.update(update(step));
    }
    progress.message('saved');
    progress.finish();
    expect(written).toHaveLength(7);
    expect(written[0]).toBe('step 1/100  loss 2.000  12.3k tok/s  1.50 experts/tok  3.1% dropped\n');
    expect(written[1]).toBe('step 21/100  loss 2.000  40s left  12.3k tok/s  1.50 experts/tok  3.1% dropped\n');
    expect(written[5]).toBe('saved\n');
    expect(written[6]).toMatch(/^step 100\/100 .* done/);
    expect(written.join('')).not.toContain('\u001b');
  });
});

describe('meters', () => {
  it('counts tokens per second over the window and forgets a pause', () => {
    let ms = 0;
    const meter = createThroughputMeter({ windowSeconds: 5, now: () => ms });
    expect(meter.perSecond()).toBe(0);
    for (let i = 0; i < 10; i++) {
      ms += 1000;
      meter.add(100);
    }
    expect(meter.perSecond()).toBe(100);
    ms += 60_000;
    for (let i = 0; i < 20; i++) {
      ms += 500;
      meter.add(100);
    }
    expect(meter.perSecond()).toBe(200);
  });

  it('smooths without a bias at the start and passes over NaN', () => {
    fc.assert(
      fc.property(fc.double({ min: -100, max: 100, noNaN: true }), fc.double({ min: 0, max: 0.99, noNaN: true }), (value, decay) => {
        const smooth = createSmoother(decay);
        for (let i = 0; i < 5; i++) expect(smooth(value)).toBeCloseTo(value, 8);
        expect(smooth(Number.NaN)).toBeCloseTo(value, 8);
      }),
    );
    const smooth = createSmoother(0.5);
    smooth(0);
    expect(smooth(3)).toBeCloseTo(2);
  });
});

describe('formats', () => {
  it.each([[0, '0'], [7, '7'], [999, '999'], [1234, '1.23k'], [999_900, '999.9k'], [5.6e9, '5.60G'], [0.0123, '0.0123'],
    [-2500, '-2.50k'], [1e27, '1000Y'], [3e-4, '0.000300'], [Number.NaN, 'NaN']])('formatCompact(%d) is %s', (value, text) => {
    expect(formatCompact(value)).toBe(text);
  });

  it.each([[0, '0s'], [59.6, '1m 00s'], [185, '3m 05s'], [7620, '2h 07m'], [4 * 86_400 + 3 * 3600, '4d 03h'], [-1, '–'], [Infinity, '–']])(
    'formatDuration(%d) is %s', (seconds, text) => {
      expect(formatDuration(seconds)).toBe(text);
    });
});

// What an effective speed-up says of losses and times that are known.
import { describe, expect, it } from 'vitest';
import { effectiveSpeedUp, speedUps } from '../src/experiments/effective-speed-up.js';
import type { Results, Row } from '@xmoe/program/experiments';

const baseline = { loss: 3, seconds: 10 };
/** A doubling of the training is worth 0.2 nats. */
const half = { loss: 3.2, seconds: 5 };

describe('effective speed-up', () => {
  it.each([
    ['the baseline itself', baseline, 1],
    ['as good as twice the training, in the same time', { loss: 2.8, seconds: 10 }, 2],
    ['as good, at twice the time', { loss: 3, seconds: 20 }, 0.5],
    ['as bad as half of the training, at half of the time', { loss: 3.2, seconds: 5 }, 1],
  ])('%s', (_name, own, expected) => {
    expect(effectiveSpeedUp(own, baseline, half)).toBeCloseTo(expected, 12);
  });

  it('is not known where longer training did not help', () => {
    expect(effectiveSpeedUp(baseline, baseline, { loss: 2.9, seconds: 5 })).toBeNull();
  });

  it('is of the means of seeds that have both figures, and of rows that were run', () => {
    const row = (label: string): Row => ({ label, arm: { name: label, config: {} }, point: {} });
    const [base, shorter, better, missing] = ['base', 'shorter', 'better', 'missing'].map(row) as [Row, Row, Row, Row];
    const figures = new Map([
      ['base', [{ loss: 2.9, processorSeconds: 8 }, { loss: 3.1, processorSeconds: 12 }]], ['shorter', [{ loss: 3.2, processorSeconds: 5 }]], ['better', [undefined, { loss: 2.8, processorSeconds: 10 }]],
    ]);
    const results: Results = { figures: ({ arm }) => figures.get(arm.name) ?? [], directories: () => [] };
    const { measure, show } = speedUps([{ title: 'group', rows: [base, better, missing], baseline: base, half: shorter }]);
    expect(show(measure(results)).rows).toEqual([['group', 'base', '1.00', '1.00', '0.0000'], ['group', 'better', '2.00', '1.00', '0.2000']]);
  });
});

// The rules of one beam, on hand-made probabilities.
import { describe, expect, it } from 'vitest';
import { createBeam, type BeamSettings, type Continuations } from '@xmoe/nn';

const END = 0;
const settings: BeamSettings = { beam: 2, nBest: 1, lengthPenalty: 0, endToken: END, forbiddenTokens: [], maxLength: 4 };

/** Probabilities by token, likeliest first, as the device hands them over. */
function continuations(probabilities: Record<number, number>): Continuations {
  const sorted = Object.entries(probabilities).map(([token, p]) => [Number(token), Math.log(p)] as const).sort((a, b) => b[1] - a[1] || a[0] - b[0]);
  return { tokens: sorted.map(([token]) => token), logProbabilities: sorted.map(([, value]) => value), end: Math.log(probabilities[END] ?? 1e-9) };
}

describe('createBeam', () => {
  it('keeps the best continuations over all hypotheses', () => {
    const beam = createBeam(settings);
    beam.advance([continuations({ 1: 0.5, 2: 0.4, [END]: 0.1 })]);
    expect(beam.live.map(({ tokens }) => tokens)).toEqual([[1], [2]]);
    beam.advance([continuations({ 1: 0.4, 2: 0.35, [END]: 0.25 }), continuations({ 3: 0.9, 1: 0.05, [END]: 0.05 })]);
    expect(beam.live).toMatchObject([{ tokens: [2, 3], parent: 1 }, { tokens: [1, 1], parent: 0 }]);
    expect(beam.live[0]!.logProbability).toBeCloseTo(Math.log(0.36), 12);
    expect(beam.done).toBe(false);
  });

  it('takes an end only when it is among the best', () => {
    const beam = createBeam({ ...settings, nBest: 2 });
    beam.advance([continuations({ 1: 0.5, 2: 0.4, [END]: 0.1 })]);
    expect(beam.best()).toEqual([]); // third
    const again = createBeam({ ...settings, nBest: 2 });
    again.advance([continuations({ 1: 0.5, 2: 0.2, [END]: 0.3 })]);
    expect(again.best()).toMatchObject([{ tokens: [], complete: true }]);
    expect(again.live.map(({ tokens }) => tokens)).toEqual([[1], [2]]); // an end takes no place
  });

  it('ends once no live hypothesis can do better', () => {
    const beam = createBeam(settings);
    beam.advance([continuations({ [END]: 0.8, 1: 0.15, 2: 0.05 })]);
    expect(beam).toMatchObject({ done: true, live: [] });
    const longer = createBeam({ ...settings, lengthPenalty: 1 });
    longer.advance([continuations({ [END]: 0.5, 1: 0.4, 2: 0.1 })]); // log 0.4 over up to 5 tokens can still beat log 0.5
    expect(longer.done).toBe(false);
  });

  it('the best possible rest decides, at either length', () => {
    const shorter = createBeam({ ...settings, lengthPenalty: -1 });
    shorter.advance([continuations({ [END]: 0.5, 1: 0.4, 2: 0.1 })]); // log 0.4 · 2 is worse already
    expect(shorter.done).toBe(true);
  });

  it('ends with as many finished as the beam is wide', () => {
    const beam = createBeam({ ...settings, lengthPenalty: 3, nBest: 2 });
    beam.advance([continuations({ [END]: 0.5, 1: 0.4, 2: 0.1 })]);
    beam.advance([continuations({ [END]: 0.9, 1: 0.05, 2: 0.05 }), continuations({ 1: 0.9, 2: 0.1 })]);
    expect(beam.done).toBe(true);
    expect(beam.best().map(({ tokens }) => tokens)).toEqual([[1], []]);
    expect(beam.best()[0]!.score).toBeCloseTo(Math.log(0.36) / 8, 12);
  });

  it('ends every hypothesis at the maximum length, and says that it did', () => {
    const beam = createBeam({ ...settings, maxLength: 1, nBest: 2 });
    beam.advance([continuations({ 1: 0.6, 2: 0.3, [END]: 0.1 })]);
    beam.advance([continuations({ 1: 0.8, [END]: 0.2 }), continuations({ [END]: 0.9, 1: 0.1 })]);
    expect(beam.done).toBe(true);
    expect(beam.best()).toMatchObject([{ tokens: [2], complete: true }, { tokens: [1], complete: false }]);
  });

  it('never continues with a forbidden token, nor with an impossible one', () => {
    const beam = createBeam({ ...settings, forbiddenTokens: [1] });
    beam.advance([{ tokens: [1, 2, END, 3], logProbabilities: [-0.1, -2, -Infinity, -Infinity], end: -Infinity }]);
    expect(beam.live.map(({ tokens }) => tokens)).toEqual([[2]]);
  });
});

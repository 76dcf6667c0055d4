// A checkpoint and data that belong together, do not, or cannot say.
import { expect, it } from 'vitest';
import { checkData, DATA_FINGERPRINT } from '../src/check-data.js';

const data = { fingerprint: 'ab'.repeat(32), directory: 'runs/data/x' };

it('accepts the data of the checkpoint and refuses others, with both fingerprints', () => {
  const notes: string[] = [];
  const check = (saved: object) => checkData(saved as never, data, 'step-7', (note) => notes.push(note));
  check({ [DATA_FINGERPRINT]: data.fingerprint });
  expect(notes).toEqual([]);
  expect(() => check({ [DATA_FINGERPRINT]: 'cd'.repeat(32) })).toThrow(
    `step-7 was trained on other data: their fingerprint is ${'cd'.repeat(8)}, and that of runs/data/x is ${'ab'.repeat(8)}`,
  );
  expect(() => check({ [DATA_FINGERPRINT]: 7 })).toThrow('was trained on other data');
});

it('goes on with a checkpoint of an earlier version, and says what it takes for granted', () => {
  const notes: string[] = [];
  checkData({ config: {} }, data, 'step-7', (note) => notes.push(note));
  expect(notes).toEqual(['step-7 does not say which data it was trained on: those in runs/data/x are taken for them']);
});

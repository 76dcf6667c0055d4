// Turns let others run, however many there are in a row.
import { setImmediate } from 'node:timers';
import { expect, it } from 'vitest';
import { nextTurn } from '../src/next-turn.js';

it('lets what waits for the event loop run, and comes back', async () => {
  let turns = 0;
  let others = 0;
  const other = (): void => {
    others++;
    if (turns < 100) setImmediate(other);
  };
  setImmediate(other);
  for (; turns < 100; turns++) await nextTurn();
  expect(others).toBeGreaterThan(10);
});

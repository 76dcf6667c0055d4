// The help texts of the program and of each command, as they are written down here. UPDATE_HELP=1 rewrites them, for a change that is meant.
import { allHelpTexts, writtenDown } from '@xmoe/testing/programs';
import { expect, it } from 'vitest';
import { mustRun } from './support.js';

it('are those of help-texts.txt', async () => {
  const text = await allHelpTexts(mustRun);
  expect(text).toBe(writtenDown(new URL('help-texts.txt', import.meta.url), text, 'UPDATE_HELP'));
});

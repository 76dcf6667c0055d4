// The help texts of the program and of each command, as they are written down here. UPDATE_HELP=1 rewrites them, for a change that is meant.
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { mustRun } from './support.js';

const file = new URL('help-texts.txt', import.meta.url);
const helpOf = async (...command: string[]): Promise<string> => (await mustRun(...command, '--help')).output;

it('are those of help-texts.txt', async () => {
  const whole = await helpOf();
  const commands = [...whole.slice(whole.indexOf('Commands:')).matchAll(/^ {2}([a-z]+)/gm)].map(([, name]) => name!).filter((name) => name !== 'help');
  const text = [whole, ...(await Promise.all(commands.map((name) => helpOf(name))))].join(`\n${'─'.repeat(80)}\n`);
  if (process.env.UPDATE_HELP) writeFileSync(file, text);
  expect(text).toBe(readFileSync(file, 'utf8'));
});

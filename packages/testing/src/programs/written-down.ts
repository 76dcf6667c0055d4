// What a program shows, set beside what is written down of it: texts of help, resolved presets. The tests say when they must be equal.
import { readFileSync, writeFileSync } from 'node:fs';
import { commandNames } from './command-table.js';

/** The text of `file`; with the environment variable `update` set, `text` is written there first, for a change that is meant. */
export function writtenDown(file: URL, text: string, update: string): string {
  if (process.env[update]) writeFileSync(file, text);
  return readFileSync(file, 'utf8');
}

/** The help of a program and of each of its commands. @param run runs it and gives its output */
export async function allHelpTexts(run: (...args: string[]) => Promise<{ output: string }>): Promise<string> {
  const helpOf = async (...command: string[]): Promise<string> => (await run(...command, '--help')).output;
  const whole = await helpOf();
  return [whole, ...(await Promise.all(commandNames(whole).map((name) => helpOf(name))))].join(`\n${'─'.repeat(80)}\n`);
}

interface Presets {
  presets(): Promise<readonly (readonly [string, ...unknown[]])[]>;
  resolve(flags: { preset: string }): Promise<unknown>;
}

/** By name, the configuration that each preset resolves to, as JSON. */
export async function resolvedPresets(configs: Presets): Promise<Map<string, string>> {
  const names = (await configs.presets()).map(([name]) => name);
  return new Map(await Promise.all(names.map(async (preset) => [preset, JSON.stringify(await configs.resolve({ preset }))] as const)));
}

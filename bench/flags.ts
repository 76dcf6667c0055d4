// Reading the flags of the programs here: unknown flags and names are refused in one line with the nearest there is.
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { nearestName, XMoEError } from '@xmoe/core';

type Flags = NonNullable<ParseArgsConfig['options']>;

/** @throws XMoEError `config` for an unknown flag, a flag without its value, and for whatever is no flag */
export function readFlags<const F extends Flags>(given: readonly string[], flags: F) {
  const args = given[0] === '--' ? given.slice(1) : [...given]; // pnpm hands its own separator on
  try {
    return parseArgs({ args, options: flags, strict: true }).values;
  } catch (cause) {
    const unknown = args.map((arg) => /^--?([^=]*)/.exec(arg)?.[1]).find((name) => name !== undefined && !(name in flags));
    if (unknown === undefined) throw new XMoEError('config', (cause as Error).message.split('. ')[0]!, { op: 'bench', hint: 'see --help', cause });
    throw unknownName('option', unknown, Object.keys(flags), '--');
  }
}

/** Names separated by commas, each once. */
export function list(flag: string, text: string): string[] {
  const names = [...new Set(text.split(',').map((name) => name.trim()).filter(Boolean))];
  if (names.length === 0) throw new XMoEError('config', `${flag} names nothing`, { op: 'bench', hint: 'separate names by commas' });
  return names;
}

/** @throws XMoEError `config` when `name` is none of `known` */
export function requireName<Name extends string>(kind: string, name: string, known: readonly Name[]): Name {
  const found = known.find((one) => one === name);
  if (found !== undefined) return found;
  throw unknownName(kind, name, known);
}

function unknownName(kind: string, name: string, known: readonly string[], prefix = ''): XMoEError {
  const near = nearestName(name, known);
  return new XMoEError('config', `there is no ${kind} ${prefix}${name}${near ? `, did you mean ${prefix}${near}?` : ''}`, {
    op: 'bench',
    hint: `one of ${known.map((item) => prefix + item).join(', ')}`,
  });
}

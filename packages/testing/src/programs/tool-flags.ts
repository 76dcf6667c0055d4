// The command lines of the repository's own programs (benchmarks, faults, launches): flags, names, and errors in one line. Those of the
// programs that users call are in @xmoe/program.
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { isXMoEError, unknownName, XMoEError } from '@xmoe/core';

type Flags = NonNullable<ParseArgsConfig['options']>;

/** Exit code of a command line that asks for what there is not. */
const USAGE = 2;

/**
 * The values of flags; `op` names the program in errors.
 * @throws XMoEError `config` for an unknown flag, a flag without its value, and for whatever is no flag
 */
export function readToolFlags<const F extends Flags>(op: string, given: readonly string[], flags: F) {
  const args = given[0] === '--' ? given.slice(1) : [...given]; // pnpm hands its own separator on
  try {
    return parseArgs({ args, options: flags, strict: true }).values;
  } catch (cause) {
    const unknown = args.map((arg) => /^--([^=]*)/.exec(arg)?.[1]).find((name) => name !== undefined && name !== '' && !(name in flags));
    if (unknown === undefined) throw new XMoEError('config', (cause as Error).message.split(/\.\s/)[0]!, { op, hint: 'see --help', cause });
    throw unknownName(op, 'option', `--${unknown}`, Object.keys(flags).map((name) => `--${name}`));
  }
}

/** Names separated by commas, each once. @throws XMoEError `config` when there is none */
export function namesOf(op: string, flag: string, text: string): string[] {
  const names = [...new Set(text.split(',').map((name) => name.trim()).filter(Boolean))];
  if (names.length === 0) throw new XMoEError('config', `${flag} names nothing`, { op, hint: 'separate names by commas' });
  return names;
}

/** The number of `flag`. @throws XMoEError `config` when it is not `expected`, as in "a whole number from 1" */
export function numberOf(op: string, flag: string, text: string, expected: string, fits: (value: number) => boolean): number {
  const value = Number(text);
  if (text.trim() !== '' && fits(value)) return value;
  throw new XMoEError('config', `${flag} is ${JSON.stringify(text)}`, { op, hint: `pass ${expected}` });
}

/** Whether a number is a count of things that there has to be one of. */
export const fromOne = (value: number): boolean => Number.isSafeInteger(value) && value >= 1;

/** Runs a program of the repository: what it refuses is one line and exit code 2. @param main returns the exit code, if it is not 0 */
export async function runTool(main: () => Promise<number | void>): Promise<void> {
  try {
    process.exitCode = (await main()) ?? 0;
  } catch (error) {
    if (!isXMoEError(error)) throw error;
    process.stderr.write(`${error.message}${error.hint ? ` (${error.hint})` : ''}\n`);
    process.exitCode = USAGE;
  }
}

// The command lines that a program's own help speaks of, as a table to try: every command, asked for help, for a flag that there is not, and
// for each of its flags without the value.
import type { Harness } from './harness.js';

/** Names of the commands in the help of a program. */
export function commandNames(help: string): string[] {
  return [...help.slice(help.indexOf('Commands:')).matchAll(/^ {2}([a-z]+)/gm)].map(([, name]) => name!).filter((name) => name !== 'help');
}

/** Command lines that ask for what there is not, of a command with this help: an unknown flag, and each flag that takes a value without it. */
function wrongLines(command: string, help: string): string[][] {
  // Arguments that must be there: what is wrong with flags is told all the same.
  const places = [...(/^Usage: .*$/m.exec(help)?.[0] ?? '').matchAll(/ <[a-z]+>/g)].map(() => 'nowhere');
  const flags = [...help.matchAll(/^ +(?:-\w, )?(--[a-z-]+) <[^>]+>/gm)].map(([, flag]) => flag!);
  return ['--no-such-flag', ...flags].map((flag) => [command, ...places, flag]);
}

const MOST_LINES = 40;
const MOST_COLUMNS = 100;

/** The pages of help that do not fit a screen, or are broader than it. */
export async function tryHelpPages({ mustRun }: Pick<Harness, 'mustRun'>): Promise<string[]> {
  const whole = (await mustRun('--help')).output;
  const pages = [['', whole], ...(await Promise.all(commandNames(whole).map(async (name) => [name, (await mustRun(name, '--help')).output])))] as [string, string][];
  return pages.flatMap(([name, page]) => {
    const lines = page.trimEnd().split('\n');
    return [
      ...(lines.length > MOST_LINES ? [`${name} --help has ${lines.length} lines`] : []),
      ...lines.filter((line) => line.length > MOST_COLUMNS).map((line) => `${name} --help: a line of ${line.length}: ${line}`),
    ];
  });
}

/**
 * Asks every command of a program for help, and tries {@link wrongLines} of each and those of `more`: each must be refused with exit code 2 and one
 * line of error, and nothing on the output.
 */
export async function tryWrongLines({ runHere, mustRun }: Pick<Harness, 'runHere' | 'mustRun'>, more: readonly string[][]): Promise<{ tried: number; problems: string[] }> {
  const lines = [...more];
  for (const command of commandNames((await mustRun('--help')).output)) lines.push(...wrongLines(command, (await mustRun(command, '--help')).output));
  const problems: string[] = [];
  for (const line of lines) {
    const { code, output, messages } = await runHere(...line);
    const errors = messages.split('\n').filter((text) => text.startsWith('error: ')).length;
    if (code !== 2 || output !== '' || errors !== 1 || messages.includes('    at ')) problems.push(`${line.join(' ')}: ended with ${code}\n${output}${messages}`);
  }
  return { tried: lines.length, problems };
}

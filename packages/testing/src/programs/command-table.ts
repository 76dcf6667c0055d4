// The command lines that a program's own help speaks of, as a table to try: every command, asked for help, for a flag that there is not, and
// for each of its flags without the value. Runs nothing.

/** Names of the commands in the help of a program. */
export function commandNames(help: string): string[] {
  return [...help.slice(help.indexOf('Commands:')).matchAll(/^ {2}([a-z]+)/gm)].map(([, name]) => name!).filter((name) => name !== 'help');
}

/** Command lines that ask for what there is not, of a command with this help: an unknown flag, and each flag that takes a value without it. */
export function wrongLines(command: string, help: string): string[][] {
  // Arguments that must be there: what is wrong with flags is told all the same.
  const places = [...(/^Usage: .*$/m.exec(help)?.[0] ?? '').matchAll(/ <[a-z]+>/g)].map(() => 'nowhere');
  const flags = [...help.matchAll(/^ +(?:-\w, )?(--[a-z-]+) <[^>]+>/gm)].map(([, flag]) => flag!);
  return ['--no-such-flag', ...flags].map((flag) => [command, ...places, flag]);
}

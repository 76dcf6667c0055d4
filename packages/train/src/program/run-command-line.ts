// How a command line is run and how errors end it. The commands are the program's.
import { Command, CommanderError } from 'commander';
import { errorText, type Terminal } from './terminal.js';

/** A commander program that writes to the terminal and never exits by itself. */
export function newProgram(name: string, terminal: Terminal): Command {
  return new Command(name)
    .exitOverride()
    .configureOutput({ writeOut: (text) => terminal.output.write(text), writeErr: (text) => terminal.messages.write(text) });
}

export interface CommandLineOptions {
  /** What belongs to the version, after commander has told it. */
  afterVersion?: () => Promise<string>;
}

/**
 * Runs the command that `args` (without the program's name) ask for.
 * @param create makes the program; each command inherits what {@link newProgram} sets
 * @returns the exit code: 0, 1 for an error, 2 for a wrong command line, 130 or 143 after a signal
 */
export async function runCommandLine(
  args: readonly string[],
  streams: Pick<Terminal, 'output' | 'messages'>,
  create: (terminal: Terminal) => Command,
  { afterVersion }: CommandLineOptions = {},
): Promise<number> {
  const terminal: Terminal = { ...streams, exitCode: 0 };
  try {
    await create(terminal).parseAsync(args, { from: 'user' });
    return terminal.exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.code === 'commander.version' && afterVersion) terminal.output.write(await afterVersion());
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2; // commander has told why
    terminal.messages.write(`${errorText(error)}\n`);
    return 1;
  }
}

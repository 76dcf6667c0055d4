// How a command line is run and how errors end it. The commands are the program's.
import { Command, CommanderError } from 'commander';
import { EXIT_CODES, exitCodeOf, exitCodesText } from './exit-codes.js';
import { rankPrefix } from './ranks.js';
import { errorText, textOnly, type Terminal } from './terminal.js';

/** A commander program that writes to the terminal and never exits by itself. */
export function newProgram(name: string, terminal: Terminal): Command {
  return new Command(name)
    .exitOverride()
    .addHelpText('after', `\n${exitCodesText()}`)
    .configureOutput({ writeOut: (text) => terminal.output.write(text), writeErr: (text) => terminal.messages.write(text) });
}

/** The streams of a process, or stand-ins for them. */
export interface CommandLineStreams extends Pick<Terminal, 'output' | 'messages'> {
  outliveReaders?(): void;
}

export interface CommandLineOptions {
  /** What belongs to the version, after commander has told it. */
  afterVersion?: () => Promise<string>;
}

/**
 * Runs the command that `args` (without the program's name) ask for.
 * @param create makes the program; each command inherits what {@link newProgram} sets
 * @returns the exit code, of {@link EXIT_CODES} or 128 + n after signal n
 */
export async function runCommandLine(
  args: readonly string[],
  streams: CommandLineStreams,
  create: (terminal: Terminal) => Command,
  { afterVersion }: CommandLineOptions = {},
): Promise<number> {
  const terminal: Terminal = {
    // A terminal must not obey what a model or a file says; a file gets results as they are.
    output: streams.output.isTTY ? textOnly(streams.output) : streams.output,
    messages: textOnly(streams.messages),
    exitCode: 0,
    outliveReaders: () => streams.outliveReaders?.(),
  };
  try {
    await create(terminal).parseAsync(args, { from: 'user' });
    return terminal.exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.code === 'commander.version' && afterVersion) terminal.output.write(await afterVersion());
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_CODES.done : EXIT_CODES.usage; // commander has told why
    terminal.messages.write(`${rankPrefix()}${errorText(error)}\n`);
    return exitCodeOf(error);
  }
}

// How a command line is run, what --json makes of every command, and how errors end it. The commands are the program's.
import { isXMoEError } from '@xmoe/core';
import { Command, CommanderError, Option } from 'commander';
import { EXIT_CODES, exitCodeOf, exitCodesText, isFromSystem } from './exit-codes.js';
import { runsHere } from './nearest-run.js';
import { requireForRanks } from './on-ranks.js';
import { rankPrefix } from './ranks.js';
import { errorText, textOnly, type Terminal } from './terminal.js';

/** A commander program that writes to the terminal and never exits by itself. */
export function newProgram(name: string, terminal: Terminal): Command {
  return new Command(name)
    .exitOverride()
    .addHelpText('after', `\n${exitCodesText()}`)
    // Without the [options] that nearly all have, and what they do in a few words: the rest is on their own pages.
    .configureHelp({ subcommandDescription: (command) => command.summary() || command.description().replace(/[:;] .*/, ''), subcommandTerm: (command) => `${command.name()} ${command.usage().replace('[options]', '').trim()}`.trim() })
    .configureOutput({
      writeOut: (text) => terminal.output.write(text),
      writeErr: (text) => terminal.messages.write(text),
      getOutHelpWidth: () => helpWidth(terminal.output),
      getErrHelpWidth: () => helpWidth(terminal.messages),
      outputError: (text, write) => write(`${text}${missingHint(text)}`),
    });
}

/** Of a page of help: that of the terminal, or so much that pages stay short. */
const helpWidth = ({ isTTY, columns }: Terminal['output']): number => (isTTY && columns ? columns : HELP_COLUMNS);
const HELP_COLUMNS = 100;

/** What there is in place of a run that is not named. */
function missingHint(error: string): string {
  const runs = /missing required argument '(run|runs|source)'/.test(error) ? runsHere() : undefined;
  return runs === undefined ? '' : `  ${runs}\n`;
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
  const { terminal, asJson, state } = openTerminal(streams);
  try {
    await withJson(create(terminal), asJson).parseAsync(args, { from: 'user' });
    if (terminal.json && !state.resultGiven) throw new Error('the command ended without a JSON document');
    return terminal.exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.code === 'commander.version' && afterVersion) terminal.output.write(await afterVersion());
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT_CODES.done;
    if (error instanceof CommanderError && args.includes('--json')) asJson();
    if (terminal.json && !state.resultGiven) terminal.result(errorDocument(error), '');
    if (error instanceof CommanderError) return EXIT_CODES.usage; // commander has told why
    terminal.messages.write(`${rankPrefix()}${errorText(error)}\n`);
    return exitCodeOf(error);
  }
}

function openTerminal(streams: CommandLineStreams) {
  // A terminal must not obey what a model or a file says; a file gets results as they are.
  const output = streams.output.isTTY ? textOnly(streams.output) : streams.output;
  const state = { json: false, resultGiven: false };
  const terminal: Terminal = {
    output,
    messages: textOnly(streams.messages),
    exitCode: 0,
    get json() {
      return state.json;
    },
    result(document, text) {
      state.resultGiven = true;
      output.write(state.json ? `${JSON.stringify(document)}\n` : text);
    },
    resultElsewhere: () => void (state.resultGiven = true),
    outliveReaders: () => streams.outliveReaders?.(),
  };
  const asJson = (): void => {
    state.json = true;
    terminal.output = terminal.messages;
  };
  return { terminal, asJson, state };
}

/** Every command with --json, whoever adds it. */
function withJson(program: Command, asJson: () => void): Command {
  for (const command of program.commands) command.addOption(new Option('--json', 'print one JSON document, and nothing else').helpGroup('Options:'));
  return program.hook('preAction', (_, command) => {
    if (command.opts().json === true) asJson();
    requireForRanks(command);
  });
}

/** What --json prints of an error: the same as the messages say, by its parts. */
function errorDocument(error: unknown): object {
  if (isXMoEError(error)) return { error: { code: error.code, message: error.message, ...(error.hint === undefined ? {} : { hint: error.hint }) } };
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof CommanderError) return { error: { code: 'config', message: message.replace(/^error: /, '') } };
  return { error: { code: isFromSystem(error) ? 'io' : 'unexpected', message } };
}

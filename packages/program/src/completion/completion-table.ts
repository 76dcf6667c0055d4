// What a shell may complete of a program, read off its commands: options, and what stands for their values. Knows no shell.
import { ROUTER_NAMES } from '@xmoe/models/sections';
import type { Command, Option } from 'commander';
import { NamedOption } from '../named-option.js';

/** What may stand for a value: directories of runs, folders, files, these names, or what nobody can tell. */
export interface Values {
  readonly kind: 'runs' | 'folders' | 'files' | 'names' | 'unknown';
  readonly names: readonly string[];
}

export interface CompletedOption {
  /** `--backend`. */
  readonly flag: string;
  readonly description: string;
  /** null where it takes none. */
  readonly values: Values | null;
  /** Whether more values may follow the first. */
  readonly variadic: boolean;
}

export interface CompletedCommand {
  readonly name: string;
  readonly description: string;
  readonly options: readonly CompletedOption[];
  /** Of what is no option; null where there is nothing. */
  readonly places: Values | null;
  /** Flags that are keys of the configuration, where the command takes them. */
  readonly keys: readonly string[];
}

export interface CompletionTable {
  readonly program: string;
  readonly commands: readonly CompletedCommand[];
}

/** Names that the commands themselves do not tell. */
export interface KnownNames {
  readonly backends: readonly string[];
  readonly presets: readonly string[];
  /** Keys of the configuration as flags, without their dashes. */
  readonly keys: readonly string[];
}

const UNKNOWN: Values = { kind: 'unknown', names: [] };
const names = (list: readonly string[]): Values => ({ kind: 'names', names: list });

/** By what stands between the brackets of an option or an argument. */
const BY_PLACE: Readonly<Record<string, Values['kind']>> = {
  run: 'runs', runs: 'runs', source: 'runs', dir: 'folders', folder: 'folders', file: 'files', path: 'files', 'run-or-file': 'files',
};

/** All commands but hidden ones, as their help tells them. */
export function completionTable(program: Command, known: KnownNames): CompletionTable {
  const shown = program.createHelp().visibleCommands(program);
  const commandNames = shown.map((command) => command.name());
  return {
    program: program.name(),
    commands: shown.map((command) => ({
      name: command.name(),
      description: command.description(),
      options: command.createHelp().visibleOptions(command).flatMap((option) => completedOption(option, known)),
      places: placesOf(command, commandNames),
      // --set goes with any key as a flag.
      keys: command.options.some(({ long }) => long === '--set') ? known.keys.map((key) => `--${key}`).filter((flag) => !command.options.some(({ long }) => long === flag)) : [],
    })),
  };
}

function completedOption(option: Option, known: KnownNames): CompletedOption[] {
  if (!option.long) return [];
  const values = option.required || option.optional ? valuesOf(option, known) : null;
  return [{ flag: option.long, description: option.description, values, variadic: option.variadic }];
}

function valuesOf(option: Option, { backends, presets }: KnownNames): Values {
  if (option instanceof NamedOption) return names(option.names);
  const own: Readonly<Record<string, readonly string[]>> = { '--backend': backends, '--preset': presets, '--router': ROUTER_NAMES, '--checkpoint': ['best', 'latest'] };
  if (own[option.long!]) return names(own[option.long!]!);
  return kindOf(/[<[]([a-z-]+)/.exec(option.flags)?.[1]);
}

function placesOf(command: Command, commandNames: readonly string[]): Values | null {
  const [first] = command.registeredArguments;
  if (!first) return null;
  if (first.argChoices) return names(first.argChoices);
  return first.name() === 'command' ? names(commandNames) : kindOf(first.name());
}

function kindOf(place: string | undefined): Values {
  const kind = place === undefined ? undefined : BY_PLACE[place];
  return kind === undefined ? UNKNOWN : { kind, names: [] };
}

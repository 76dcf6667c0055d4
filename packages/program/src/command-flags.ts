// Reading what commander hands over: numbers, repeated options, and the flags that it does not know, which name keys of the
// configuration.
import { XMoEError } from '@xmoe/core';
import { InvalidArgumentError, type Command } from 'commander';
import type { JsonObject } from '@xmoe/files';
import { ROUTER_NAMES } from '@xmoe/models/sections';
import { NamedOption } from './named-option.js';
import type { ConfigFlags, ConfigResolver } from './resolve-config.js';

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError('expected a whole number from 0.');
  return value;
}

export function countFromOne(text: string): number {
  const value = wholeNumber(text);
  if (value === 0) throw new InvalidArgumentError('expected a whole number from 1.');
  return value;
}

export function countOrAll(text: string): number | 'all' {
  return text === 'all' ? text : countFromOne(text);
}

export function finiteNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('expected a number.');
  return value;
}

/** Numbers separated by commas. */
export function numberList(text: string): number[] {
  return text.split(',').map(finiteNumber);
}

/** Counts separated by commas. */
export function countList(text: string): number[] {
  return text.split(',').map(countFromOne);
}

/** What --debug takes. */
export const DEBUG_LEVELS = ['off', 'nan', 'leaks', 'all'] as const;

const collect = (value: string, all: string[] = []): string[] => [...all, value];

/** What the options of {@link withConfigOptions} give. */
export interface ConfigOptions {
  preset: string;
  router?: string;
  data?: string[];
  set?: string[];
  dataRoot: string;
}

/** Options that say what to train. `dataHelp` describes --data. */
export function withConfigOptions(command: Command, { preset, dataHelp }: { preset: string; dataHelp: string }): Command {
  return command
    .option('--preset <name>', 'to start from: a name (see: presets) or a JSON file', preset)
    .option('--router <name>', `${ROUTER_NAMES.slice(0, -1).join(', ')} or ${ROUTER_NAMES.at(-1)}`)
    .option('--data <path...>', dataHelp)
    .option('--set <key=value>', 'sets any key of the configuration, e.g. moe.experts=16; repeatable', collect)
    .option('--data-root <dir>', 'where prepared data is kept', 'runs/data')
    .allowUnknownOption()
    .allowExcessArguments();
}

/** Options that say how to train, after those of {@link withConfigOptions}. */
export function withTrainOptions(command: Command, backendOption: readonly [string, string, string]): Command {
  return command
    .option(...backendOption)
    .option('--out <dir>', 'run directory (default: runs/PRESET-TIME)')
    .option('--resume', 'go on with the run in --out from its latest checkpoint; --max-steps extends it, --learning-rate changes it from there')
    .option('--checkpoint <which>', 'with --resume: go on from best, a name like step-00000500, or a path')
    .option('--stop-after <step>', 'end this session, saved, after that step', wholeNumber)
    .option('--dry-run', 'print parameters, FLOPs, memory and steps without training')
    .addOption(new NamedOption('--debug <level>', 'off, nan (find the op that makes a NaN), leaks or all', DEBUG_LEVELS, 'off'))
    .option('--profile', 'print the time of each kernel after training; slower while it measures');
}

/** --backend, for `command.option(...backendOption(names, fallback))`. */
export const backendOption = (names: readonly string[], fallback: string) => ['--backend <name>', `one of ${names.join(', ')}`, fallback] as const;

/** --checkpoint of what opens a run, as {@link backendOption}; `more`: what the program can open beside best and latest. */
export const checkpointOption = (fallback: 'best' | 'latest' = 'best', more: readonly string[] = []) =>
  ['--checkpoint <which>', `${['best', 'latest', ...more].join(', ')}, a name like step-00000500, or a path`, fallback] as const;

/** The configuration that the options, on top of `base` or the preset, the flags unknown to commander, and `flags` ask for. */
export function configOf<Config>(resolver: ConfigResolver<Config>, options: ConfigOptions, command: Command, { base, configure, flags: more = {} }: Pick<ConfigFlags<Config>, 'base' | 'configure' | 'flags'> = {}): Promise<Config> {
  const { preset, router, data, set } = options;
  const flags: ConfigFlags<Config> = {
    preset,
    ...(base === undefined ? {} : { base }),
    ...(configure === undefined ? {} : { configure }),
    otherOptions: command.options.flatMap(({ long }) => (long ? [long.slice(2)] : [])),
    flags: { ...readFlags(command.args), ...more },
    ...(router === undefined ? {} : { router }),
    ...(data === undefined ? {} : { data }),
    ...(set === undefined ? {} : { set }),
  };
  return resolver.resolve(flags);
}

/** `--name value` and `--name=value` pairs; a flag without a value is true. */
function readFlags(rest: readonly string[]): JsonObject {
  const flags: JsonObject = {};
  for (let index = 0; index < rest.length; index++) {
    const argument = rest[index]!;
    if (!argument.startsWith('--')) {
      throw new XMoEError('config', `unexpected argument ${JSON.stringify(argument)}`, { hint: 'flags are written --name value' });
    }
    const equals = argument.indexOf('=');
    const next = rest[index + 1];
    if (equals > 0) flags[argument.slice(2, equals)] = argument.slice(equals + 1);
    else if (next !== undefined && !next.startsWith('--')) flags[argument.slice(2)] = rest[++index]!;
    else flags[argument.slice(2)] = true;
  }
  return flags;
}

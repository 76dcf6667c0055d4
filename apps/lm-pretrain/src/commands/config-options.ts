// Options of start, train and prepare as commander parses them, and the step from them to a configuration.
import { XMoEError } from '@xmoe/core';
import type { JsonObject } from '@xmoe/train';
import type { Command } from 'commander';
import type { Config } from '../config.js';
import { resolveConfig } from '../resolve-config.js';

export interface ConfigOptions {
  preset: string;
  router?: string;
  data?: string[];
  set?: string[];
  dataRoot: string;
}

/** The configuration that the options, on top of `base` or the preset, and the flags unknown to commander ask for. */
export function configOf(options: ConfigOptions, command: Command, base?: Config): Promise<Config> {
  const { preset, router, data, set } = options;
  return resolveConfig({
    preset,
    ...(base === undefined ? {} : { base }),
    otherOptions: command.options.flatMap(({ long }) => (long ? [long.slice(2)] : [])),
    flags: readFlags(command.args),
    ...(router === undefined ? {} : { router }),
    ...(data === undefined ? {} : { data }),
    ...(set === undefined ? {} : { set }),
  });
}

/** `--name value` and `--name=value` pairs; a flag without a value is true. */
export function readFlags(rest: readonly string[]): JsonObject {
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

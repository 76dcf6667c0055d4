// From JSON to a validated configuration, with assignments as `--set` takes them. Presets, flags and files are not here.
import { XMoEError } from '@xmoe/core';
import type { JsonObject, JsonValue } from '@xmoe/files';
import { mergeOverrides, parseConfig } from '@xmoe/train';
import type { z } from 'zod';
import type { ConfigProblem } from './experts.js';

export interface ReadConfigOptions {
  /** What is read, for errors. Default: the configuration. */
  readonly where?: string;
  /** Assignments `a.b=value`, applied in order. */
  readonly set?: readonly string[];
}

/** @throws XMoEError `config` that names every problem, those of what does not go together too */
export function readConfig<Config>(schema: z.ZodType<Config>, problemsOf: (config: Config) => ConfigProblem[], value: JsonValue, { where = 'the configuration', set = [] }: ReadConfigOptions): Config {
  // Defaults first, so that an assignment may go below a key that is left out.
  const complete = parseConfig(schema, value, { where });
  const config = set.length === 0 ? complete : parseConfig(schema, mergeOverrides(complete as JsonObject, { set }), { where });
  const problems = problemsOf(config);
  if (problems.length === 0) return config;
  throw new XMoEError('config', `${where}: ${problems.map(({ problem }) => problem).join('; ')}`, { hint: [...new Set(problems.map(({ hint }) => hint))].join('; ') });
}

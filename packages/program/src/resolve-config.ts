// From a preset and flags to a validated configuration of a program. The schema is the program's.
import { nearestName, XMoEError } from '@xmoe/core';
import type { z } from 'zod';
import { EXPERT_FLAG_ALIASES, expertsSchema, replaceRouter, scaledWarmup, type ConfigProblem, type TrainingKeys } from '@xmoe/models/sections';
import { listPresets, loadPreset, mergeOverrides, parseConfig, type Presets } from '@xmoe/train';
import { readConfigText } from '@xmoe/train/node';
import { jsonObject, parseJson, type JsonObject } from '@xmoe/files';

const flagName = (key: string): string => key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** Flags of what a dense model has not. */
const EXPERT_FLAGS = new Set([...Object.keys(expertsSchema.shape).map(flagName), ...Object.keys(EXPERT_FLAG_ALIASES)]);

/** What the configurations of all programs have. */
interface Common {
  moe: unknown;
  train: TrainingKeys;
}

/** What a configuration of a program is. */
export interface ConfigRules<Config extends Common> {
  schema: z.ZodType<Config>;
  /** The presets that come with the program. */
  presets: Presets;
  /** Flags that stand for a key at another path; those of experts are known. */
  aliases: Readonly<Record<string, string>>;
  /** The configuration with the files of --data. */
  withData(base: JsonObject, paths: readonly string[]): JsonObject;
  /** Values that do not go together. `base` is the configuration of a run to go on with. */
  problems(config: Config, base?: Config): ConfigProblem[];
}

export interface ConfigResolver<Config> {
  /** The validated configuration of a preset with flags applied. */
  resolve(flags: ConfigFlags<Config>): Promise<Config>;
  /** Name and description of each preset. */
  presets(): Promise<[name: string, description: string][]>;
  /** Keys of the configuration of a preset as flags are written, without their dashes. */
  flagNames(preset: string): Promise<string[]>;
}

export interface ConfigFlags<Config> {
  /** Name of a preset, or path of a JSON file like one, which may extend a preset. */
  preset: string;
  /** Flags apply to this configuration instead of the preset's: that of a run to go on with. */
  base?: Config;
  /** What becomes of the preset before flags apply to it. */
  configure?: (preset: JsonObject) => JsonObject;
  /** Replaces the router of the preset; `dense` removes the mixture of experts. */
  router?: string;
  data?: string[];
  set?: string[];
  /** Any other flag: a key of the configuration by its name. */
  flags?: JsonObject;
  /** Names of other options, for the suggestion when a flag is unknown. */
  otherOptions?: readonly string[];
}

export function createConfigResolver<Config extends Common>(rules: ConfigRules<Config>): ConfigResolver<Config> {
  const { schema, presets } = rules;
  const aliases = { ...EXPERT_FLAG_ALIASES, ...rules.aliases };
  return {
    async presets() {
      return listPresets(presets).map((name) => [name, String(loadPreset(presets, name).description ?? '')]);
    },
    async flagNames(preset) {
      const config = parseConfig(schema, await readPreset(presets, preset), { where: `preset ${preset}` });
      return [...new Set([...keyNames(config), ...Object.keys(aliases)])].sort();
    },
    async resolve({ preset, base: given, configure = (chosen) => chosen, router, data, set, flags = {}, otherOptions = [] }) {
      const base = given ? jsonObject(given, preset) : configure(await readPreset(presets, preset));
      const withRouter = router === undefined ? base : replaceRouter(base, router);
      const withData = data && data.length > 0 ? rules.withData(withRouter, data) : withRouter;
      const where = `preset ${preset}`;
      // Defaults first, so that a flag may name a key that the preset leaves out.
      const complete = parseConfig(schema, withData, { where });
      const { known, problems } = sortFlags(flags, complete, Object.keys(aliases), otherOptions);
      const attempt = (): Config => {
        const merged = mergeOverrides(withOpenWarmup(complete, given !== undefined), { flags: known, ...(set ? { set } : {}), aliases });
        return parseConfig(schema, closeWarmup(merged, complete.train), { where });
      };
      const config = collect(problems, attempt);
      if (config) problems.push(...rules.problems(config, given).map(({ problem, hint }) => ({ problem: `${where}: ${problem}`, hint })));
      if (config && problems.length === 0) return config;
      throw new XMoEError('config', problems.map(({ problem }) => problem).join('; '), { hint: [...new Set(problems.map(({ hint }) => hint))].join('; ') });
    },
  };
}

/** What `attempt` returns; undefined when the configuration is wrong, which is then one of the problems. */
function collect<R>(problems: ConfigProblem[], attempt: () => R): R | undefined {
  try {
    return attempt();
  } catch (error) {
    if (!(error instanceof XMoEError) || error.code !== 'config') throw error;
    problems.push({ problem: error.message, hint: error.hint ?? '' });
    return undefined;
  }
}

/** In place of a preset's warm-up while flags are applied, to see whether one of them sets it. */
const OPEN = '(share of the preset)';

function withOpenWarmup(config: Common, goesOn: boolean): JsonObject {
  const plain = jsonObject(config, 'the configuration');
  return goesOn ? plain : { ...plain, train: { ...(plain.train as JsonObject), warmupSteps: OPEN } };
}

/** A warm-up that no flag has set is the preset's share of the steps that the flags ask for. */
function closeWarmup(merged: JsonObject, preset: TrainingKeys): JsonObject {
  const train = merged.train as JsonObject;
  if (train.warmupSteps !== OPEN) return merged;
  const steps = Number.isInteger(train.steps) ? (train.steps as number) : preset.steps; // the schema refuses others
  return { ...merged, train: { ...train, warmupSteps: steps === preset.steps ? preset.warmupSteps : Math.max(0, scaledWarmup(preset, steps)) } };
}

/** A preset by name or by path. */
async function readPreset(presets: Presets, preset: string): Promise<JsonObject> {
  if (!preset.endsWith('.json')) return loadPreset(presets, preset);
  const text = await readConfigText(preset).catch((cause: unknown) => {
    if (cause instanceof XMoEError) throw cause;
    throw new XMoEError('config', `cannot read the preset file ${preset}: ${(cause as Error).message}`, { hint: 'name a JSON file, or a preset without .json', cause });
  });
  const own = parseJson(text, { where: preset }) as JsonObject;
  // Under its path, which no shipped preset has for a name.
  return loadPreset({ ...presets, [preset]: own }, preset);
}

/** Flags that are keys of the configuration, and those that are not, with the nearest of all names that this command takes. */
function sortFlags(flags: JsonObject, config: Common, aliases: readonly string[], otherOptions: readonly string[]): { known: JsonObject; problems: ConfigProblem[] } {
  const keys = new Set([...keyNames(config), ...aliases]);
  const known: JsonObject = {};
  const problems: ConfigProblem[] = [];
  for (const [name, value] of Object.entries(flags)) {
    const key = name.replace(/([a-z0-9])([A-Z])/g, '$1-$2').toLowerCase();
    if (config.moe === null && EXPERT_FLAGS.has(key)) {
      problems.push({ problem: `--${name} is about experts, and the model is dense`, hint: 'leave it out, or choose a preset and a router with experts' });
    } else if (keys.has(key) || name.includes('.')) {
      known[name] = value;
    } else {
      const near = nearestName(name, [...otherOptions, ...keys]);
      problems.push({
        problem: `unknown flag --${name}${near ? `, did you mean --${near}?` : ''}`,
        hint: 'a flag is an option of --help or a key of the configuration; --set a.b=value reaches any key',
      });
    }
  }
  return { known, problems };
}

/** All keys of a configuration at any depth, as flags are written. */
function keyNames(value: object): string[] {
  return Object.entries(value).flatMap(([key, item]) => {
    const name = flagName(key);
    return typeof item === 'object' && item !== null && !Array.isArray(item) ? [name, ...keyNames(item)] : [name];
  });
}

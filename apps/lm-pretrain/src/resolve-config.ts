// From a preset and flags to a validated configuration. The schema is in config.ts.
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { nearestName, XMoEError } from '@xmoe/core';
import { listPresets, loadPreset, mergeOverrides, parseConfig, parseJson, type JsonObject } from '@xmoe/train';
import { checkConfig, configSchema, moeSchema, type Config } from './config.js';
import { packageRoot } from './package-root.js';

export const ROUTER_NAMES = ['threshold', 'topk', 'switch', 'hash', 'base', 'uniform', 'dense'] as const;

/** Flags that stand for a key at another path. */
const FLAG_ALIASES = {
  'max-steps': 'train.steps',
  'batch-size': 'train.batchSize',
  'capacity-factor': 'moe.capacityFactor',
  threshold: 'moe.router.threshold',
  k: 'moe.router.k',
  noise: 'moe.router.noise',
  'rank-only-priority': 'moe.router.rankOnlyPriority',
  'max-experts-per-token': 'moe.router.maxExpertsPerToken',
  balanced: 'moe.router.balanced',
  dispatch: 'moe.dispatch',
  experts: 'moe.experts',
  seed: 'train.seed',
} as const;

const flagName = (key: string): string => key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** Flags of what a dense model has not. */
const EXPERT_FLAGS = new Set([
  ...Object.keys(moeSchema.shape).map(flagName),
  ...Object.entries(FLAG_ALIASES).flatMap(([flag, path]) => (path.startsWith('moe.') ? [flag] : [])),
]);

export interface ConfigFlags {
  /** Name of a preset, or path of a JSON file like one, which may extend a preset. */
  preset: string;
  /** Flags apply to this configuration instead of the preset's: that of a run to go on with. */
  base?: Config;
  /** Replaces the router of the preset; `dense` removes the mixture of experts. */
  router?: string;
  data?: string[];
  set?: string[];
  /** Any other flag: a key of the configuration by its name. */
  flags?: JsonObject;
  /** Names of other options, for the suggestion when a flag is unknown. */
  otherOptions?: readonly string[];
}

const presetDirectory = (): string => join(packageRoot(import.meta.url), 'presets');

/** Name and description of each preset. */
export async function presetDescriptions(): Promise<[string, string][]> {
  const names = await listPresets(presetDirectory());
  return Promise.all(names.map(async (name): Promise<[string, string]> => [name, String((await loadPreset(presetDirectory(), name)).description ?? '')]));
}

/** The validated configuration of a preset with flags applied. */
export async function resolveConfig({ preset, base: given, router, data, set, flags = {}, otherOptions = [] }: ConfigFlags): Promise<Config> {
  const base = given ? (given as unknown as JsonObject) : await readPreset(preset);
  const withRouter = router === undefined ? base : replaceRouter(base, router);
  const withData = data && data.length > 0 ? { ...withRouter, data: { ...(withRouter.data as JsonObject), files: data.map((path) => resolve(path)) } } : withRouter;
  const where = `preset ${preset}`;
  // Defaults first, so that a flag may name a key that the preset leaves out.
  const complete = parseConfig(configSchema, withData, { where });
  checkFlags(Object.keys(flags), complete, otherOptions);
  const merged = mergeOverrides(complete as unknown as JsonObject, { flags, ...(set ? { set } : {}), aliases: FLAG_ALIASES });
  const config = parseConfig(configSchema, merged, { where });
  checkConfig(config, where);
  return config;
}

/** A preset by name or by path. */
async function readPreset(preset: string): Promise<JsonObject> {
  if (!preset.endsWith('.json')) return loadPreset(presetDirectory(), preset);
  const text = await readFile(preset, 'utf8').catch((cause: unknown) => {
    throw new XMoEError('config', `cannot read the preset file ${preset}: ${(cause as Error).message}`, { hint: 'name a JSON file, or a preset without .json', cause });
  });
  const own = parseJson(text, { where: preset }) as JsonObject;
  const known = await listPresets(presetDirectory());
  const shipped = await Promise.all(known.map(async (name) => [name, await loadPreset(presetDirectory(), name)] as const));
  // Under its path, which no shipped preset has for a name.
  return loadPreset({ ...Object.fromEntries(shipped), [preset]: own }, preset);
}

/** Refuses a flag that is no key of the configuration, with the nearest of all names that this command takes. */
function checkFlags(names: readonly string[], config: Config, otherOptions: readonly string[]): void {
  const keys = new Set([...keyNames(config), ...Object.keys(FLAG_ALIASES)]);
  for (const name of names) {
    const key = name.replace(/([a-z0-9])([A-Z])/g, '$1-$2').toLowerCase();
    if (config.moe === null && EXPERT_FLAGS.has(key)) {
      throw new XMoEError('config', `--${name} is about experts, and the model is dense`, { hint: 'leave it out, or choose a preset and a router with experts' });
    }
    if (keys.has(key) || name.includes('.')) continue;
    const near = nearestName(name, [...otherOptions, ...keys]);
    throw new XMoEError('config', `unknown flag --${name}${near ? `, did you mean --${near}?` : ''}`, {
      hint: 'a flag is an option of --help or a key of the configuration; --set a.b=value reaches any key',
    });
  }
}

/** All keys of a configuration at any depth, as flags are written. */
function keyNames(value: object): string[] {
  return Object.entries(value).flatMap(([key, item]) => {
    const name = flagName(key);
    return typeof item === 'object' && item !== null && !Array.isArray(item) ? [name, ...keyNames(item)] : [name];
  });
}

function replaceRouter(base: JsonObject, router: string): JsonObject {
  if (!(ROUTER_NAMES as readonly string[]).includes(router)) {
    const near = nearestName(router, ROUTER_NAMES);
    throw new XMoEError('config', `there is no router ${JSON.stringify(router)}${near ? `, did you mean ${near}?` : ''}`, { hint: `one of ${ROUTER_NAMES.join(', ')}` });
  }
  if (router === 'dense') return { ...base, moe: null };
  if (!base.moe) {
    throw new XMoEError('config', `--router ${router}: the preset is dense`, { hint: 'use a preset with experts, e.g. tiny' });
  }
  const moe = base.moe as JsonObject;
  const current = moe.router as JsonObject;
  if (current.type === router) return base;
  const settings: JsonObject = { type: router };
  if (router === 'threshold') settings.threshold = 0.9;
  // Equal FLOPs: as many choices as the capacity factor pays for (γ·s constant).
  if (router === 'topk' || router === 'uniform') settings.k = Math.max(1, Math.round(moe.capacityFactor as number));
  return { ...base, moe: { ...moe, router: settings } };
}

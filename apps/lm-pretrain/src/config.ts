// The configuration of one pretraining run: what a resumed run may change, its flags and presets. The schema is that of @xmoe/models.
import { resolve } from 'node:path';
import { languageConfigProblems, languageRunSchema, type LanguageConfig } from '@xmoe/models';
import { RESUMABLE_TRAINING_KEYS } from '@xmoe/models/sections';
import { languagePresets } from '@xmoe/models/presets';
import { createConfigResolver, refuseOtherConfig, withDefaults } from '@xmoe/program';
import type { JsonObject } from '@xmoe/files';

/** The name of the program, on the command line and in the records of its runs. */
export const PROGRAM = 'xmoe-lm';

export type Config = LanguageConfig;

/** What a resumed run may change without becoming another run. */
const RESUMABLE_KEYS = new Set([...RESUMABLE_TRAINING_KEYS, 'train.evalWindows', 'train.testWindows']);

/** Refuses to go on from a checkpoint under a configuration that would make it another run. */
export function checkResumable(saved: unknown, current: Config, where: string): void {
  refuseOtherConfig(withDefaults(languageRunSchema, saved), current, RESUMABLE_KEYS, where);
}

/** From presets and flags to configurations. */
export const configs = createConfigResolver<Config>({
  schema: languageRunSchema,
  presets: languagePresets,
  aliases: { 'max-steps': 'train.steps', 'batch-size': 'train.batchSize', seed: 'train.seed' },
  withData: (base, paths) => ({ ...base, data: { ...(base.data as JsonObject), files: paths.map((path) => resolve(path)) } }),
  problems: languageConfigProblems,
});

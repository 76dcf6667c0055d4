// The configuration of one translation run: what a resumed run may change, its flags and presets. The schema is that of @xmoe/models.
import { translationConfigProblems, translationRunSchema, type TranslationConfig } from '@xmoe/models';
import { RESUMABLE_TRAINING_KEYS, type ConfigProblem } from '@xmoe/models/sections';
import { translationPresets } from '@xmoe/models/presets';
import type { JsonObject } from '@xmoe/files';
import { createConfigResolver, refuseOtherConfig, withDefaults } from '@xmoe/program';
import { bleuTokenizerOf } from './scores.js';

/** The name of the program, on the command line and in the records of its runs. */
export const PROGRAM = 'xmoe-nmt';

export type Config = TranslationConfig;

/** What does not go together. `base`: the configuration of the run to go on with. */
function configProblems(config: Config, base?: Config): ConfigProblem[] {
  bleuTokenizerOf(config); // raises what it does not know
  return translationConfigProblems(config, base);
}

/** What a resumed run may change without becoming another run. */
const RESUMABLE_KEYS = new Set([
  ...RESUMABLE_TRAINING_KEYS,
  ...['evalPairs', 'scoredPairs', 'averageCheckpoints', 'patience', 'bleuTokenizer'].map((key) => `train.${key}`),
  ...['beam', 'lengthPenalty', 'threshold', 'maxLengthRatio', 'maxLengthExtra'].map((key) => `decoding.${key}`),
]);

/** Refuses to go on from a checkpoint under a configuration that would make it another run. */
export function checkResumable(saved: unknown, current: Config, where: string): void {
  refuseOtherConfig(withDefaults(translationRunSchema, saved), current, RESUMABLE_KEYS, where);
}

/** From presets and flags to configurations. */
export const configs = createConfigResolver<Config>({
  schema: translationRunSchema,
  presets: translationPresets,
  aliases: {
    'max-steps': 'train.steps', seed: 'train.seed', source: 'data.sourceLanguage', target: 'data.targetLanguage',
    'vocabulary-size': 'data.tokenizer.vocabularySize', beam: 'decoding.beam', 'length-penalty': 'decoding.lengthPenalty',
  },
  withData: (base, paths) => ({ ...base, data: { ...(base.data as JsonObject), files: [...paths] } }),
  problems: configProblems,
});

// From presets and flags to configurations, as the programs do it. Not a test.
import { languageConfigProblems, languageRunSchema, translationConfigProblems, translationRunSchema } from '@xmoe/models';
import { languagePresets, translationPresets } from '@xmoe/models/presets';
import { createConfigResolver } from '@xmoe/program';

const none = { aliases: {}, withData: <T>(base: T): T => base };

export const languageConfigs = createConfigResolver({ schema: languageRunSchema, presets: languagePresets, problems: languageConfigProblems, ...none });
export const translationConfigs = createConfigResolver({ schema: translationRunSchema, presets: translationPresets, problems: translationConfigProblems, ...none });

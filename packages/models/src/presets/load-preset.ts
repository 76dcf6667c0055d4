// A preset by name as a validated configuration. Flags, and presets in files, are the programs'.
import { loadPreset } from '@xmoe/train';
import { readLanguageConfig, type LanguageConfig } from '../language/language-config.js';
import type { ReadConfigOptions } from '../sections/read-config.js';
import { readTranslationConfig, type TranslationConfig } from '../translation/translation-config.js';
import { languagePresets } from './language.js';
import { translationPresets } from './translation.js';

export type PresetOptions = Pick<ReadConfigOptions, 'set'>;

/**
 * A preset of language models with assignments `a.b=value` applied. Unlike a flag of the program, another number of steps leaves the
 * warm-up as it is.
 * @throws XMoEError `config` for an unknown name (with the nearest) and for what does not fit
 */
export function loadLanguagePreset(name: string, options: PresetOptions = {}): LanguageConfig {
  return readLanguageConfig(loadPreset(languagePresets, name), { where: `preset ${name}`, ...options });
}

/** As {@link loadLanguagePreset}, of translation models. */
export function loadTranslationPreset(name: string, options: PresetOptions = {}): TranslationConfig {
  return readTranslationConfig(loadPreset(translationPresets, name), { where: `preset ${name}`, ...options });
}

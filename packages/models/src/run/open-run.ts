// Trained runs opened for use, from what their files hold: the model with nothing dropped, its parameters on an engine, and what it
// is for. Reads no files (see read-run.ts) and no data of the training.
import { XMoEError, type Engine, type FloatDType, type Tensor } from '@xmoe/core';
import { isPlainObject, parseJson, type JsonObject } from '@xmoe/files';
import { tokenizerFromJson, translationTokensOf, type BytePairTokenizer, type LanguagePair, type TranslationTokens } from '@xmoe/text';
import { decodeSafetensors, loadParameters, parseConfig, type StoredTensor } from '@xmoe/train';
import { DEFAULT_SAMPLING, generateTokens, type SamplingOptions } from '../language/generate-tokens.js';
import { languageRunSchema, type LanguageConfig } from '../language/language-config.js';
import { createLanguageModelFromConfig, droplessLanguageConfig, type XMoELanguageModel } from '../language/language-model.js';
import { translationRunSchema, type TranslationConfig } from '../translation/translation-config.js';
import { createTranslationModelFromConfig, droplessTranslationConfig, type XMoETranslator } from '../translation/translation-model.js';
import { createLineTranslator, translateTexts, type LineTranslator } from '../translation/translate-text.js';
import { createTranslator, sourceLimits, type DecodingOptions, type Translator } from '../translation/translator.js';

/** Files of a run, in memory: its config.json, and `tokenizer.json` and `parameters.safetensors` of one checkpoint. */
export interface RunFiles {
  readonly config: string;
  readonly tokenizer: string;
  readonly parameters: Uint8Array | ArrayBuffer;
}

/** What those files hold. */
export interface RunContents<Config> {
  readonly config: Config;
  readonly tokenizer: BytePairTokenizer;
  readonly parameters: readonly StoredTensor[];
  /** What errors call it. */
  readonly where: string;
}

interface OpenedRun<Config, Model> {
  readonly config: Config;
  readonly tokenizer: BytePairTokenizer;
  /** With nothing dropped. */
  readonly model: Model;
  readonly parameters: Record<string, Tensor>;
  /** Frees the parameters; the engine is the caller's. */
  dispose(): void;
}

export interface LanguageRun extends OpenedRun<LanguageConfig, XMoELanguageModel> {
  readonly task: 'language';
  /** Continues a prompt, in pieces of whole characters, up to the end of the text. Options left out are those of `sample`. */
  generate(prompt: string, options?: Partial<SamplingOptions>): AsyncGenerator<string, void, undefined>;
}

export interface TranslationRun extends OpenedRun<TranslationConfig, XMoETranslator> {
  readonly task: 'translation';
  readonly tokens: TranslationTokens;
  readonly languages: LanguagePair;
  readonly translator: Translator;
  readonly lines: LineTranslator;
  /** The best translation of each text; '' of one without words. Options left out are the run's `decoding`. */
  translate(texts: readonly string[], options?: Partial<DecodingOptions>): Promise<string[]>;
}

/**
 * Opens a run of either program on an engine.
 * @throws XMoEError `config`, `data` or `checkpoint` naming what does not fit together; the engine then holds nothing of it
 */
export function openRun(files: RunFiles, engine: Engine): LanguageRun | TranslationRun {
  const where = 'parameters.safetensors';
  return openRunOf(files.config, { tokenizer: tokenizerFromJson(files.tokenizer), parameters: decodeSafetensors(files.parameters, where).tensors, where }, engine);
}

/** @param text of config.json */
export function openRunOf(text: string, rest: Omit<RunContents<unknown>, 'config'>, engine: Engine): LanguageRun | TranslationRun {
  const record = parseJson(text, { where: 'config.json' });
  const config = isPlainObject(record) ? (record as JsonObject).config : undefined;
  const model = isPlainObject(config) ? (config as JsonObject).model : undefined;
  if (config === undefined || !isPlainObject(model)) throw new XMoEError('config', 'config.json is not that of a run', { hint: 'pass the config.json that train wrote, not a preset' });
  return Object.hasOwn(model, 'encoderLayers')
    ? openTranslationRun({ config: parseConfig(translationRunSchema, config, { where: 'config.json' }), ...rest }, engine)
    : openLanguageRun({ config: parseConfig(languageRunSchema, config, { where: 'config.json' }), ...rest }, engine);
}

/** @throws XMoEError `checkpoint` when the parameters are not those of the configuration */
export function openLanguageRun({ config, tokenizer, parameters: stored, where }: RunContents<LanguageConfig>, engine: Engine): LanguageRun {
  const model = createLanguageModelFromConfig(droplessLanguageConfig(config), tokenizer.vocabularySize);
  const parameters = parametersOn(engine, model, stored, where);
  const computeDType = precisionOn(engine, config.train.precision);
  return {
    task: 'language', config, tokenizer, model, parameters,
    async *generate(prompt, options) {
      const decoder = new TextDecoder(); // characters may span tokens
      for await (const token of generateTokens(engine, model, parameters, tokenizer, prompt, { ...DEFAULT_SAMPLING, ...options }, computeDType)) {
        const text = decoder.decode(tokenizer.tokenBytes(token), { stream: true });
        if (text !== '') yield text;
      }
      const rest = decoder.decode();
      if (rest !== '') yield rest;
    },
    dispose: () => disposeAll(parameters),
  };
}

/** @throws XMoEError `checkpoint` when the parameters are not those of the configuration, `data` for a tokenizer without the tokens of translation */
export function openTranslationRun({ config, tokenizer, parameters: stored, where }: RunContents<TranslationConfig>, engine: Engine): TranslationRun {
  const tokens = translationTokensOf(tokenizer, where);
  const model = createTranslationModelFromConfig(droplessTranslationConfig(config), tokenizer.vocabularySize);
  const parameters = parametersOn(engine, model, stored, where);
  const precise: TranslationConfig = { ...config, train: { ...config.train, precision: precisionOn(engine, config.train.precision) } };
  const translator = createTranslator({ engine, config: precise, model, parameters, tokens });
  const languages = { source: config.data.sourceLanguage, target: config.data.targetLanguage };
  const lines = createLineTranslator({ translator, tokenizer, tokens, languages, limits: sourceLimits(config) });
  return {
    task: 'translation', config, tokenizer, model, parameters, tokens, languages, translator, lines,
    translate: async (texts, options) => (await translateTexts(lines, texts, { ...config.decoding, ...options })) ?? [],
    dispose: () => disposeAll(parameters),
  };
}

/** What was trained in half precision runs in single where there is none. */
function precisionOn(engine: Engine, trained: FloatDType): FloatDType {
  return engine.backend.capabilities.float16 ? trained : 'float32';
}

function parametersOn(engine: Engine, { parameters: specs }: Pick<XMoELanguageModel, 'parameters'>, stored: readonly StoredTensor[], where: string): Record<string, Tensor> {
  const parameters = Object.fromEntries(specs.map(({ name, shape }) => [name, engine.zeros(shape).keep()]));
  try {
    loadParameters(parameters, specs, stored, where);
  } catch (error) {
    disposeAll(parameters);
    throw error;
  }
  return parameters;
}

function disposeAll(parameters: Record<string, Tensor>): void {
  for (const tensor of Object.values(parameters)) tensor.dispose();
}

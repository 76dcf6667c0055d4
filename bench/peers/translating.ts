// Translating with our CPU engine, with a library for products and without: a line by itself and many side by side, by beam search with cached
// keys and values. No other library is here: none reads our encoder-decoder, and how good translations are is translation.ts.
import { initializeParameters, randomKey, type Engine, type Parameters } from '@xmoe/core';
import { createTranslationModelFromConfig, droplessTranslationConfig, translationVocabulary, type TranslationConfig, type XMoETranslator } from '@xmoe/models';
import { loadTranslationPreset } from '@xmoe/models/presets';
import { beamSearch } from '@xmoe/nn';
import { disposeAll, type Device } from '../forward-backward.js';
import { measureInterleaved, ratioOf, type MeasureOptions } from '../measure.js';
import { TIME_COLUMNS, type Row, type Table } from '../table.js';
import { promptToken } from './generation-spec.js';

interface Setting {
  readonly label: string;
  readonly config: TranslationConfig;
  readonly lines: number;
  /** Tokens of each source, and of each translation: no hypothesis ends before. */
  readonly length: number;
}

const END = 0;

function settingsOf(quick: boolean): Setting[] {
  const of = (preset: string, dense: boolean, lines: number, length: number): Setting => {
    const config = droplessTranslationConfig(loadTranslationPreset(preset));
    return { label: `${preset}, ${dense ? 'dense' : 'XMoE'}`, config: dense ? { ...config, moe: null } : config, lines, length };
  };
  if (quick) return [of('tiny', false, 2, 3)];
  return [1, 32].flatMap((lines) => [true, false].map((dense) => of('small', dense, lines, 24)));
}

/** `devices`: the one of the first rows, and those that are set beside it. */
export async function benchTranslating(devices: readonly Device[], quick: boolean, options: MeasureOptions): Promise<Table> {
  const rows: Row[] = [];
  for (const setting of settingsOf(quick)) rows.push(...(await compare(devices, setting, options)));
  return {
    id: 'peers-translating',
    title: 'Translating with a cache',
    note: 'Lines go side by side through the encoder once, then a token at a time through the decoder, by beam search; all of it is in the time. Untrained weights, of which nearly all experts are taken; no translation ends '
      + 'before it is as long as its line. Tokens are those of translations, not of hypotheses. Ours / peer: how many times faster the first row of its group is.',
    columns: [
      { key: 'model', label: 'model' }, { key: 'lines', label: 'lines', digits: 0 }, { key: 'length', label: 'tokens each', digits: 0 }, { key: 'beam', label: 'beam', digits: 0 }, { key: 'who', label: 'backend' },
      ...TIME_COLUMNS, { key: 'tokensPerSecond', label: 'tokens/s', digits: 0 }, { key: 'ratioMin', label: 'ours / peer (min)' }, { key: 'ratioMedian', label: 'ours / peer (median)' },
    ],
    rows,
  };
}

async function compare(devices: readonly Device[], { label, config, lines, length }: Setting, options: MeasureOptions): Promise<Row[]> {
  const model = createTranslationModelFromConfig(config, translationVocabulary(config)!);
  const { beam } = config.decoding;
  const weights = devices.map(({ engine }) => initializeParameters(engine, model.parameters, randomKey(1)));
  const contestants = devices.map(({ name, engine }, index) => ({ name, run: () => translate(engine, model, weights[index], { lines, length, beam }) }));
  const timings = await measureInterleaved(contestants, options);
  for (const parameters of weights) disposeAll(parameters);
  return timings.map((timing, index) => {
    const { min, median } = ratioOf(timing, timings[0]);
    const cells = { model: label, lines, length, beam, who: devices[index].name, minMs: timing.min, medianMs: timing.median, tokensPerSecond: (1000 * lines * length) / timing.min };
    return index === 0 ? cells : { ...cells, ratioMin: min, ratioMedian: median };
  });
}

async function translate(engine: Engine, model: XMoETranslator, parameters: Parameters, { lines, length, beam }: { lines: number; length: number; beam: number }): Promise<void> {
  const { vocabularySize } = model.config;
  const source = {
    shape: { batch: lines, length },
    tokens: engine.tensor(Int32Array.from({ length: lines * length }, (_, at) => promptToken(Math.floor(at / length), at % length, vocabularySize))),
    mask: engine.ones([lines * length], 'bool'),
  };
  const maxLengths = new Array<number>(lines).fill(length);
  const found = await beamSearch({ engine, model, parameters }, source, { startToken: 1, endToken: END, forbiddenTokens: [END], maxLengths, beam });
  if (found.some(([best]) => best.tokens.length !== length)) throw new Error(`a translation is not of ${length} tokens`);
  source.tokens.dispose();
  source.mask.dispose();
}

// Continuing one text to the end of the context: with cached keys and values, and with the whole window for every token, which take
// turns on every backend. Sampling is greedy; tokenizers are not here.
import { initializeParameters, randomKey, type Engine } from '@xmoe/core';
import type { RoutingTrace } from '@xmoe/moe';
import { createLanguageModelFromConfig, droplessLanguageConfig, type LanguageConfig, languageVocabulary } from '@xmoe/models';
import { continueTexts, sampleToken, type LanguageModel } from '@xmoe/nn';
import { loadLanguagePreset } from '@xmoe/models/presets';
import type { Device } from './forward-backward.js';
import { measureInterleaved, ratioOf, type Contestant, type MeasureOptions } from './measure.js';
import type { Table } from './table.js';
import { describeConfig } from './train-step.js';

const PRESETS = ['tiny', 'small'];
const PROMPT = 8;
const GREEDY = { temperature: 0, topK: 0, topP: 1 };

export async function benchGeneration(devices: readonly Device[], quick: boolean, options: MeasureOptions): Promise<Table[]> {
  const tables: Table[] = [];
  for (const preset of quick ? PRESETS.slice(0, 1) : PRESETS) tables.push(await benchPreset(devices, preset, options));
  return tables;
}

async function benchPreset(devices: readonly Device[], preset: string, options: MeasureOptions): Promise<Table> {
  const config = droplessLanguageConfig(loadLanguagePreset(preset));
  const model = createLanguageModelFromConfig(config, languageVocabulary(config));
  const prompt = Array.from({ length: PROMPT }, (_, index) => index + 10);
  const tokens = config.model.contextLength - PROMPT;
  const contestants = devices.flatMap(({ engine }) => {
    const parameters = initializeParameters(engine, model.parameters, randomKey(1));
    return [cached(engine, model, parameters, prompt, tokens), whole(engine, model, parameters, prompt, tokens)];
  });
  const timings = await measureInterleaved(contestants, options);
  const rows = timings.map((timing, index) => ({
    path: contestants[index].name, backend: devices[index >> 1].name, minMs: timing.min / tokens, medianMs: timing.median / tokens,
    tokensPerSecond: (1000 * tokens) / timing.median, overWhole: ratioOf(timing, timings[index | 1]).min,
  }));
  return tableOf(preset, config, tokens, rows);
}

type Weights = ReturnType<typeof initializeParameters>;

function cached(engine: Engine, model: LanguageModel<RoutingTrace>, parameters: Weights, prompt: readonly number[], tokens: number): Contestant {
  return {
    name: 'cached',
    async run() {
      for await (const _ of continueTexts({ engine, model, parameters }, [prompt], { ...GREEDY, maxTokens: tokens, keys: [randomKey(1)] }));
    },
  };
}

/** A window of the whole context, padded, so that shapes stay the same from token to token. */
function whole(engine: Engine, model: LanguageModel<RoutingTrace>, parameters: Weights, prompt: readonly number[], tokens: number): Contestant {
  const { contextLength } = model.config;
  return {
    name: 'whole window',
    async run() {
      const text = [...prompt];
      for (let index = 0; index < tokens; index++) {
        const logits = engine.scope(() => {
          const padded = Int32Array.from({ length: contextLength }, (_, position) => text[position] ?? 0);
          const mask = engine.tensor(Uint8Array.from(padded, (_, position) => (position < text.length ? 1 : 0)), [contextLength], 'bool');
          const context = { training: false, key: null, computeDType: 'float32', tokenIds: null, mask, collect: 'nothing' } as const;
          return model.logitsAt(parameters, engine.tensor(padded), { batch: 1, length: contextLength }, text.length - 1, context);
        });
        text.push(sampleToken(await logits.data(), 0, GREEDY));
        logits.dispose();
      }
    },
  };
}

function tableOf(preset: string, config: LanguageConfig, tokens: number, rows: Table['rows']): Table {
  return {
    id: `generation-${preset}`,
    title: `Generation with the preset ${preset}`,
    note: `${describeConfig(config)}; one text of ${PROMPT} tokens goes on by ${tokens}, to the end of the context. Times are per token; the ratio is of the shortest ones.`,
    columns: [
      { key: 'path', label: 'path' }, { key: 'backend', label: 'backend' }, { key: 'minMs', label: 'min ms/token', digits: 3 }, { key: 'medianMs', label: 'median ms/token', digits: 3 },
      { key: 'tokensPerSecond', label: 'tokens/s', digits: 0 }, { key: 'overWhole', label: '× whole window', digits: 3 },
    ],
    rows,
  };
}

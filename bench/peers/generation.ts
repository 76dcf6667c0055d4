// Texts that go on with cached keys and values: our CPU engine, with a dense model and with its XMoE form, beside other libraries with the dense
// one. All have the same weights and take the likeliest tokens; logits are compared first.
import { createWasmBackend } from '@xmoe/backend-cpu';
import { createEngine, randomKey, reshape, type Engine, type Tensor } from '@xmoe/core';
import { createLanguageModelFromConfig, droplessLanguageConfig, languageVocabulary, type LanguageConfig } from '@xmoe/models';
import { loadLanguagePreset } from '@xmoe/models/presets';
import { continueTexts } from '@xmoe/nn';
import { disposeAll, type Device } from '../forward-backward.js';
import { measureInterleaved, ratioOf, type MeasureOptions } from '../measure.js';
import { TIME_COLUMNS, type Row, type Table } from '../table.js';
import { requireAgreement } from './formula.js';
import {
  parameterFormulas, promptToken, valuesOf, type GenerationPeer, type GenerationWork, type LanguageModelShape, type PreparedGeneration,
} from './generation-spec.js';
import { benchTranslating } from './translating.js';

interface Setting extends GenerationWork {
  readonly label: string;
  readonly config: LanguageConfig;
}

const GREEDY = { temperature: 0, topK: 0, topP: 1 };
const LOGITS = 16;

/** To the end of the context for the small ones; the model of GPT-2's size takes its time for a few tokens. */
function settingsOf(quick: boolean): Setting[] {
  const setting = (preset: string, dense: boolean, work: GenerationWork): Setting => {
    const config = droplessLanguageConfig(loadLanguagePreset(preset));
    const isDense = dense || config.moe === null;
    return { ...work, label: `${preset}, ${isDense ? 'dense' : 'XMoE'}`, config: isDense ? { ...config, moe: null } : config };
  };
  if (quick) return [setting('tiny', true, { batch: 1, prompt: 4, tokens: 3 }), setting('tiny', false, { batch: 2, prompt: 4, tokens: 3 })];
  const small = [1, 8].flatMap((batch) => [true, false].map((dense) => setting('small', dense, { batch, prompt: 8, tokens: 120 })));
  return [...small, setting('124m-dense', true, { batch: 1, prompt: 64, tokens: 16 }), setting('124m-dense', true, { batch: 8, prompt: 64, tokens: 16 })];
}

export async function benchPeerGeneration(ours: Device, peers: readonly GenerationPeer[], quick: boolean, options: MeasureOptions): Promise<Table[]> {
  const compiled = ours.name === 'cpu:wasm' ? null : { name: 'cpu:wasm', engine: createEngine(await createWasmBackend()) };
  const devices = compiled ? [ours, compiled] : [ours];
  const rows: Row[] = [];
  let translating: Table;
  try {
    for (const setting of settingsOf(quick)) rows.push(...(await compare(devices, setting.config.moe ? [] : peers, setting, options)));
    translating = await benchTranslating(devices, quick, options);
  } finally {
    compiled?.engine.dispose();
  }
  return [{
    id: 'peers-generation',
    title: 'Generation with a cache beside the peers',
    note: 'Texts go on side by side, a token of each at a time, with cached keys and values; reading their beginnings is in the time. Greedy, the same weights for all; logits are compared. '
      + 'XMoE experts are untrained, and nearly all of them are taken. Peers have the dense model. Ours / peer: how many times faster the row above all others of its group is.',
    columns: [
      { key: 'model', label: 'model' }, { key: 'texts', label: 'texts', digits: 0 }, { key: 'tokens', label: 'tokens each' }, { key: 'who', label: 'library' },
      ...TIME_COLUMNS.map((column) => ({ ...column, label: `${column.label} a token`, digits: 3 })),
      { key: 'tokensPerSecond', label: 'tokens/s', digits: 0 }, { key: 'ratioMin', label: 'ours / peer (min)' }, { key: 'ratioMedian', label: 'ours / peer (median)' },
    ],
    rows,
  }, translating];
}

async function compare(devices: readonly Device[], peers: readonly GenerationPeer[], setting: Setting, options: MeasureOptions): Promise<Row[]> {
  const { label, batch, prompt, tokens, config } = setting;
  const model = createLanguageModelFromConfig(config, languageVocabulary(config));
  const parameters = parameterFormulas(model.parameters);
  const { contextLength: context, width, heads, layers, hidden } = config.model;
  const shape: LanguageModelShape = { vocabulary: languageVocabulary(config), context, width, heads, layers, hidden };
  const prepared: (PreparedGeneration & { readonly who: string })[] = [];
  for (const { name, engine } of devices) prepared.push({ who: name, ...(await prepareOurs(engine, config, setting)) });
  for (const peer of peers) prepared.push({ who: peer.name, ...(await peer.prepareGeneration(shape, parameters, setting)) });
  for (const { who, logits } of prepared.slice(1)) requireAgreement(`generation of ${label}`, who, prepared[0].logits.slice(0, LOGITS), logits.slice(0, LOGITS));
  const timings = await measureInterleaved(prepared.map(({ contestant }) => contestant), options);
  for (const item of prepared) await item.dispose();
  return timings.map((timing, index) => ({
    model: label, texts: batch, tokens: `${prompt} + ${tokens}`, who: prepared[index].who,
    minMs: timing.min / tokens, medianMs: timing.median / tokens, tokensPerSecond: (1000 * batch * tokens) / timing.min,
    ...(index === 0 ? {} : namesOfRatio(ratioOf(timing, timings[0]))),
  }));
}

const namesOfRatio = ({ min, median }: { min: number; median: number }): Row => ({ ratioMin: min, ratioMedian: median });

async function prepareOurs(engine: Engine, config: LanguageConfig, { batch, prompt, tokens }: GenerationWork): Promise<PreparedGeneration> {
  const vocabulary = languageVocabulary(config);
  const model = createLanguageModelFromConfig(config, vocabulary);
  const parameters: Record<string, Tensor> = {};
  for (const formula of parameterFormulas(model.parameters)) parameters[formula.name] = engine.tensor(valuesOf(formula).values, formula.shape).keep();
  const beginnings = Array.from({ length: batch }, (_, row) => Array.from({ length: prompt }, (_, place) => promptToken(row, place, vocabulary)));
  const context = { training: false, key: null, computeDType: 'float32', tokenIds: null, mask: null, collect: 'nothing' } as const;
  const logits = engine.scope(() => {
    const lengths = beginnings.map(() => prompt);
    const { state } = model.startDecoding(parameters, { shape: { batch, length: prompt }, tokens: engine.tensor(Int32Array.from(beginnings.flat())), lengths }, context);
    const next = engine.tensor(Int32Array.from(beginnings, (_, row) => promptToken(row, prompt, vocabulary)));
    return reshape(model.logits(parameters, model.decodeStep(parameters, state, next, context).x), [batch * vocabulary]);
  });
  const values = await logits.data();
  logits.dispose();
  const keys = beginnings.map((_, row) => randomKey(row));
  return {
    logits: Array.from(values.subarray((batch - 1) * vocabulary)),
    contestant: {
      name: 'ours',
      async run() {
        for await (const _ of continueTexts({ engine, model, parameters }, beginnings, { ...GREEDY, maxTokens: tokens, keys }));
      },
    },
    dispose: async () => disposeAll(parameters),
  };
}

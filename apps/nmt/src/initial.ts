// Weights that a training begins with (--init-from): those of a run of this program, in its shape and with its vocabulary.
import { resolve } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { jsonObject, type JsonObject } from '@xmoe/files';
import { createTranslationModelFromConfig, fitStates } from '@xmoe/models';
import { openTranslationWeights, type TranslationWeights } from '@xmoe/models/node';
import { assertTensors, formatCompact } from '@xmoe/train';
import { printable, type InitialChoice, type InitialWeights } from '@xmoe/program';
import type { Config } from './config.js';

/** Opens `source`. @throws XMoEError what is wrong with it */
export async function readInitial(source: string, { presetGiven }: InitialChoice): Promise<InitialWeights<Config>> {
  const weights = await openTranslationWeights(source, { onWarning: (message) => process.emitWarning(message, { type: 'XMoEWarning' }) });
  const { run, tokenizer, where, kind } = weights;
  const { vocabularySize, hash } = tokenizer;
  return {
    text: weightsText(weights),
    configure(preset) {
      const base = presetGiven ? preset : jsonObject(run, where);
      return {
        ...base,
        model: jsonObject(run.model, 'the model'),
        moe: run.moe && jsonObject(run.moe, 'the experts'),
        data: { ...(base.data as JsonObject), tokenizer: { type: 'file', path: resolve(where), vocabularySize, hash } },
      };
    },
    record: async () => ({ source: resolve(source), kind, fingerprint: await weights.fingerprint() }),
    async tensors(config) {
      requireSameModel(weights, config);
      const { parameters } = createTranslationModelFromConfig(config, vocabularySize);
      const tensors = fitStates(weights.tensors, parameters);
      assertTensors(parameters.map(({ name, shape }) => ({ name, shape, dtype: 'float32' })), tensors, { where });
      return tensors;
    },
  };
}

/** What decides what weights mean, of `model`: some of it does not show in their shapes. */
const MODEL_KEYS = ['width', 'heads', 'encoderLayers', 'decoderLayers', 'hidden', 'activation', 'norm', 'positions', 'tiedEmbeddings'] as const;
const EXPERT_KEYS = ['side', 'every', 'experts', 'expertHidden', 'sharedHidden'] as const;

/** @throws XMoEError `config` naming each key that differs */
function requireSameModel({ run, where, tokenizer }: TranslationWeights, { model, moe, data }: Config): void {
  const differences = (section: string, keys: readonly string[], ours: object, theirs: object): string[] => keys.flatMap((key) => {
    const [before, now] = [ours, theirs].map((of) => (of as Readonly<Record<string, unknown>>)[key]);
    return before === now ? [] : [`${section}.${key} is ${String(before)}, not ${String(now)}`];
  });
  const learned = model.positions === 'learned' ? ['contextLength'] : [];
  const found = [
    ...differences('model', [...MODEL_KEYS, ...learned], run.model, model),
    ...(run.moe && moe ? differences('moe', EXPERT_KEYS, run.moe, moe) : (run.moe === null) === (moe === null) ? [] : [run.moe ? 'they have experts, and the configuration has none' : 'they have no experts, and the configuration has']),
    ...(data.tokenizer.type === 'file' && data.tokenizer.hash === tokenizer.hash ? [] : ['their vocabulary is another than that of data.tokenizer']),
  ];
  if (found.length > 0) throw new XMoEError('config', `the weights of ${where} are of another model: ${found.join('; ')}`, { hint: 'leave these settings to the weights' });
}

function weightsText({ run: { model, moe, data }, tensors, tokenizer, kind, where }: TranslationWeights): string {
  const parameters = tensors.reduce((sum, { shape }) => sum + shape.reduce((size, extent) => size * extent, 1), 0);
  return printable(`${formatCompact(parameters)} parameters of the ${kind} ${where} (${data.sourceLanguage}-${data.targetLanguage}, ${model.encoderLayers} + ${model.decoderLayers} layers of width ${model.width}, ${moe ? `${moe.experts} experts` : 'dense'}, ${tokenizer.vocabularySize} tokens)`);
}

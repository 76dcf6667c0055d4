// Weights that a training begins with (--init-from): how the configuration of the source and that of the preset become one.
import { resolve } from 'node:path';
import { assertTensors, formatCompact } from '@xmoe/train';
import { createLanguageModelFromConfig, fitStates, fitWeights, languageModelSize } from '@xmoe/models';
import { openWeights, type LanguageWeights } from '@xmoe/models/node';
import { jsonObject, type JsonObject } from '@xmoe/files';
import type { BytePairTokenizer } from '@xmoe/text';
import { printable, type InitialChoice, type InitialWeights } from '@xmoe/program';
import type { Config } from './config.js';
import { readRecord } from './session.js';

/** Opens `source`. @throws XMoEError what is wrong with it */
export async function readInitial(source: string, choice: InitialChoice): Promise<InitialWeights<Config>> {
  return (await openInitial(source, choice)).initial;
}

/** As {@link readInitial}, and the weights themselves. */
export async function openInitial(source: string, { presetGiven }: InitialChoice): Promise<{ weights: LanguageWeights; initial: InitialWeights<Config> }> {
  const weights = await openWeights(source, { onWarning: (message) => process.emitWarning(message, { type: 'XMoEWarning' }) });
  const tokenizer = tokenizerSettings(weights);
  return { weights, initial: {
    text: weightsText(weights),
    configure(preset) {
      const base = weights.run && !presetGiven ? jsonObject(weights.run, weights.where) : preset;
      return {
        ...base,
        model: jsonObject(weights.model, 'the model'),
        moe: expertsOf(weights, presetGiven ? (preset.moe as JsonObject | null | undefined) : null),
        data: { ...(base.data as JsonObject), tokenizer },
      };
    },
    record: async () => ({ source: resolve(source), kind: weights.kind, fingerprint: await weights.fingerprint() }),
    async tensors(config) {
      const { parameters } = createLanguageModelFromConfig(config, weights.tokenizer.vocabularySize);
      const tensors = fitStates(fitWeights(await weights.tensors(), weights, config), parameters);
      assertTensors(parameters.map(({ name, shape }) => ({ name, shape, dtype: 'float32' })), tensors, { where: weights.where });
      return tensors;
    },
  } };
}

/** Prepared data that weights were trained on; empty where that is not known. */
export const dataOf = async ({ kind }: LanguageWeights, source: string): Promise<string> => (kind === 'run' ? (await readRecord(source)).data : '');

/** Those of the weights; of a preset that was asked for where the weights are dense, in sizes that are the dense layer's. */
function expertsOf({ model, moe }: LanguageWeights, asked: JsonObject | null | undefined): JsonObject | null {
  if (moe) return jsonObject(moe, 'the experts');
  if (!asked) return null;
  const share = model.hidden / (asked.experts as number);
  return Number.isInteger(share) ? { ...asked, expertHidden: share } : asked;
}

/** The very tokenizer of the weights: one that is learned again is another. */
function tokenizerSettings({ run, tokenizer, where }: LanguageWeights): JsonObject {
  return run?.data.tokenizer.type === 'gpt2' ? { type: 'gpt2' } : fileTokenizer(where, tokenizer);
}

/** The section `data.tokenizer` for the tokenizer that lies in the folder `where`. */
export function fileTokenizer(where: string, { vocabularySize, hash }: Pick<BytePairTokenizer, 'vocabularySize' | 'hash'>): { type: 'file'; path: string; vocabularySize: number; hash: string } {
  return { type: 'file', path: resolve(where), vocabularySize, hash };
}

const KINDS = { run: 'run', checkpoint: 'checkpoint', 'hugging-face': 'Hugging Face folder' } as const;

function weightsText(weights: LanguageWeights): string {
  const { model, moe, tokenizer, kind, where } = weights;
  const { parameters } = languageModelSize(weights, tokenizer.vocabularySize);
  return printable(`${formatCompact(parameters)} parameters of the ${KINDS[kind]} ${where} (${model.layers} layers of width ${model.width}, ${moe ? `${moe.experts} experts` : 'dense'}, context ${model.contextLength}, ${tokenizer.vocabularySize} tokens)`);
}

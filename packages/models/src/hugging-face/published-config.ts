// config.json of a Hugging Face folder: GPT-2's, and the one of XMoE, which is GPT-2's with a section `moe`. From it and to it.
// What our models cannot represent is refused by the names of its keys, not left out. Reads and writes no files.
import { XMoEError } from '@xmoe/core';
import { isPlainObject, parseJson, type JsonObject } from '@xmoe/files';
import { parseConfig } from '@xmoe/train';
import { z } from 'zod';
import type { LanguageConfig } from '../language/language-config.js';
import { expertsProblems, expertsSchema, thresholdsProblems } from '../sections/experts.js';
import { layerCount, layerSize, modelWidth, positiveFloat, share, whole } from '../sections/ranges.js';

/** What the configuration of a published model says. */
export interface PublishedModel {
  readonly model: LanguageConfig['model'];
  /** null: dense. */
  readonly moe: LanguageConfig['moe'];
  readonly vocabularySize: number;
}

/** Values of `model_type`. */
const GPT2_TYPE = 'gpt2';
const XMOE_TYPE = 'xmoe';

/** Names of `activation_function` that compute the same. */
const ACTIVATIONS: Readonly<Record<string, LanguageConfig['model']['activation']>> = {
  gelu_new: 'gelu-tanh', gelu_pytorch_tanh: 'gelu-tanh', gelu: 'gelu-erf', gelu_python: 'gelu-erf', relu: 'relu',
};

/** Keys of GPT-2's configuration that decide what it computes; those left out have the defaults of `transformers`. */
const schema = z.looseObject({
  vocab_size: whole(1, 2 ** 20).default(50257),
  n_positions: layerSize.default(1024),
  n_embd: modelWidth.default(768),
  n_head: modelWidth.default(12),
  n_layer: layerCount.default(12),
  n_inner: layerSize.nullable().default(null),
  activation_function: z.string().default('gelu_new'),
  layer_norm_epsilon: positiveFloat.default(1e-5),
  initializer_range: positiveFloat.default(0.02),
  resid_pdrop: share.default(0.1),
  embd_pdrop: share.default(0.1),
  attn_pdrop: share.default(0.1),
  tie_word_embeddings: z.boolean().default(true),
  scale_attn_weights: z.boolean().default(true),
  scale_attn_by_inverse_layer_idx: z.boolean().default(false),
  add_cross_attention: z.boolean().default(false),
  moe: expertsSchema.optional(),
});

type Keys = z.output<typeof schema>;

/**
 * Reads the text of config.json. `where` names it in errors.
 * @throws XMoEError `config` for another architecture, and for keys whose value our model has no option for
 */
export function readPublishedConfig(text: string, where: string): PublishedModel {
  const value = parseJson(text, { where });
  const type = isPlainObject(value) ? (value as JsonObject).model_type : undefined;
  if (type !== GPT2_TYPE && type !== XMOE_TYPE) {
    const what = type === undefined ? 'does not say what model it is of (model_type)' : `is that of a ${JSON.stringify(type)} model`;
    throw new XMoEError('config', `${where} ${what}`, { hint: `weights of "${GPT2_TYPE}" and of "${XMOE_TYPE}" can be taken, no other architecture` });
  }
  const keys = parseConfig(schema, value, { where });
  const problems = problemsOf(keys, type === XMOE_TYPE);
  if (problems.length > 0) throw new XMoEError('config', `${where}: ${problems.join('; ')}`, { hint: 'no option of our models stands for this: choose another model' });
  return {
    vocabularySize: keys.vocab_size,
    moe: keys.moe ?? null,
    model: {
      contextLength: keys.n_positions, width: keys.n_embd, heads: keys.n_head, layers: keys.n_layer, hidden: keys.n_inner ?? 4 * keys.n_embd,
      activation: ACTIVATIONS[keys.activation_function]!, dropout: keys.resid_pdrop, initStd: keys.initializer_range, checkpointing: false,
      layerNormEpsilon: keys.layer_norm_epsilon, tiedEmbeddings: keys.tie_word_embeddings,
    },
  };
}

function problemsOf(keys: Keys, withExperts: boolean): string[] {
  const { activation_function: activation, n_embd: width, n_head: heads, resid_pdrop, embd_pdrop, attn_pdrop, moe } = keys;
  const known = Object.hasOwn(ACTIVATIONS, activation);
  return [
    ...(known ? [] : [`activation_function is ${JSON.stringify(activation)}, not one of ${Object.keys(ACTIVATIONS).join(', ')}`]),
    ...(width % heads === 0 ? [] : [`n_embd ${width} is not a multiple of n_head ${heads}`]),
    ...(keys.scale_attn_weights ? [] : ['scale_attn_weights is false']),
    ...(keys.scale_attn_by_inverse_layer_idx ? ['scale_attn_by_inverse_layer_idx is true'] : []),
    ...(keys.add_cross_attention ? ['add_cross_attention is true'] : []),
    ...(resid_pdrop < 1 && resid_pdrop === embd_pdrop && resid_pdrop === attn_pdrop ? [] : [`resid_pdrop ${resid_pdrop}, embd_pdrop ${embd_pdrop} and attn_pdrop ${attn_pdrop} are not one number below 1`]),
    ...(withExperts === (moe !== undefined) ? [] : [withExperts ? 'moe is missing' : `moe is there, and the model_type is ${GPT2_TYPE}`]),
    ...(moe ? [...expertsProblems(moe), ...thresholdsProblems(moe, Math.floor(keys.n_layer / moe.every))].map(({ problem }) => problem) : []),
  ];
}

/** Routers that modeling_xmoe.py has. The others need tables, or the group that they route. */
const PUBLISHED_ROUTERS: readonly string[] = ['threshold', 'topk', 'switch', 'base'];

/**
 * The configuration as config.json of a Hugging Face folder. `endOfText`: the id of that token.
 * @throws XMoEError `config` for a router that the model in Python does not have, and for a shared expert
 */
export function publishedConfig({ model, moe }: Pick<LanguageConfig, 'model' | 'moe'>, facts: { vocabularySize: number; endOfText: number; dtype: 'float32' | 'float16' }): JsonObject {
  if (moe && !PUBLISHED_ROUTERS.includes(moe.router.type)) {
    throw new XMoEError('config', `the ${moe.router.type} router cannot be exported`, { hint: `the model in Python has ${PUBLISHED_ROUTERS.join(', ')}` });
  }
  if (moe?.sharedHidden !== undefined) {
    throw new XMoEError('config', `a shared expert (moe.sharedHidden ${moe.sharedHidden}) cannot be exported`, { hint: 'the model in Python has none: export a run without one' });
  }
  const activation = Object.keys(ACTIVATIONS).find((name) => ACTIVATIONS[name] === model.activation)!;
  const published = {
    architectures: [moe ? 'XmoeForCausalLM' : 'GPT2LMHeadModel'],
    model_type: moe ? XMOE_TYPE : GPT2_TYPE,
    ...(moe ? { auto_map: { AutoConfig: 'modeling_xmoe.XmoeConfig', AutoModelForCausalLM: 'modeling_xmoe.XmoeForCausalLM' } } : {}),
    vocab_size: facts.vocabularySize,
    n_positions: model.contextLength, n_embd: model.width, n_head: model.heads, n_layer: model.layers, n_inner: model.hidden,
    activation_function: activation, layer_norm_epsilon: model.layerNormEpsilon, initializer_range: model.initStd,
    resid_pdrop: model.dropout, embd_pdrop: model.dropout, attn_pdrop: model.dropout,
    tie_word_embeddings: model.tiedEmbeddings,
    scale_attn_weights: true, scale_attn_by_inverse_layer_idx: false, reorder_and_upcast_attn: false, add_cross_attention: false,
    bos_token_id: facts.endOfText, eos_token_id: facts.endOfText,
    dtype: facts.dtype,
    ...(moe ? { moe } : {}),
  };
  return published as unknown as JsonObject;
}

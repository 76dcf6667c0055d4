// The body of POST /v1/completions: what is taken, what is refused because nothing here does it, and the texts that it asks for.
import { randomInt } from 'node:crypto';
import { XMoEError } from '@xmoe/core';
import type { Tokenizer } from '@xmoe/text';
import { z } from 'zod';

/** One request's texts, prompts times choices. */
const MOST_TEXTS = 32;
const MOST_PROMPT_CHARACTERS = 1 << 16;
const MOST_SEED = 2 ** 31;

const prompt = z.string().max(MOST_PROMPT_CHARACTERS);
const ids = z.array(z.int().nonnegative()).max(MOST_PROMPT_CHARACTERS).min(1);
const stop = z.string().min(1).max(100);
/** What OpenAI's API has and this does not: only its value that changes nothing. */
const without = <T extends z.ZodType>(harmless: T): z.ZodOptional<z.ZodNullable<T>> => harmless.nullish();

export const completionSchema = z.strictObject({
  model: z.string().optional(),
  prompt: z.union([prompt, z.array(prompt).min(1), ids, z.array(ids).min(1)]).default(''),
  max_tokens: z.int().nonnegative().nullish(),
  temperature: z.number().min(0).max(100).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  /** Not of OpenAI: only the k likeliest tokens; 0: all. */
  top_k: z.int().nonnegative().nullish(),
  /** Not of OpenAI: t of the threshold router. */
  threshold: z.number().min(0).max(1).nullish(),
  n: z.int().min(1).nullish(),
  seed: z.int().nonnegative().nullish(),
  stop: z.union([stop, z.array(stop).max(16)]).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.strictObject({ include_usage: z.boolean().optional() }).nullish(),
  echo: z.boolean().nullish(),
  user: z.string().nullish(),
  best_of: without(z.literal(1)),
  logprobs: without(z.never()),
  logit_bias: without(z.strictObject({})),
  suffix: without(z.literal('')),
  presence_penalty: without(z.literal(0)),
  frequency_penalty: without(z.literal(0)),
});

export type CompletionRequest = z.output<typeof completionSchema>;

/** Where OpenAI's API has a default, it is that one. */
export interface AskedTexts {
  readonly prompts: readonly { readonly text: string; readonly tokens: readonly number[] }[];
  readonly choices: number;
  readonly sampling: { readonly maxTokens: number; readonly temperature: number; readonly topK: number; readonly topP: number; readonly seed: number };
  readonly stops: readonly string[];
}

/** @throws XMoEError `value` naming what is too much, or no token */
export function askedTexts(request: CompletionRequest, tokenizer: Tokenizer, mostTokens: number): AskedTexts {
  const { max_tokens: maxTokens = 16, temperature, top_p: topP, top_k: topK, seed, n, stop: stops } = request;
  if (maxTokens !== null && maxTokens > mostTokens) throw new XMoEError('value', `max_tokens is ${maxTokens}`, { hint: `ask for at most ${mostTokens}, or start the server with a larger --max-tokens` });
  const prompts = promptsOf(request.prompt).map((given) => promptTokens(given, tokenizer));
  const choices = n ?? 1;
  if (prompts.length * choices > MOST_TEXTS) throw new XMoEError('value', `${prompts.length} prompts with ${choices} choices each`, { hint: `ask for at most ${MOST_TEXTS} texts at once` });
  return {
    prompts, choices,
    sampling: { maxTokens: maxTokens ?? 16, temperature: temperature ?? 1, topP: topP ?? 1, topK: topK ?? 0, seed: seed ?? randomInt(MOST_SEED) },
    stops: stops === null || stops === undefined ? [] : [stops].flat(),
  };
}

type Prompt = string | readonly number[];

function promptsOf(given: CompletionRequest['prompt']): Prompt[] {
  if (typeof given === 'string') return [given];
  return typeof given[0] === 'number' ? [given as number[]] : (given as Prompt[]);
}

function promptTokens(given: Prompt, tokenizer: Tokenizer): AskedTexts['prompts'][number] {
  if (typeof given === 'string') return { text: given, tokens: Array.from(tokenizer.encode(given)) };
  const wrong = given.find((token) => token >= tokenizer.vocabularySize);
  if (wrong !== undefined) throw new XMoEError('value', `there is no token ${wrong}`, { hint: `ids of this model are below ${tokenizer.vocabularySize}` });
  return { text: tokenizer.decode(given), tokens: given };
}

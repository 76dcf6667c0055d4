// POST /v1/completions in the form of OpenAI's API, whole or as a stream of events.
import { randomUUID } from 'node:crypto';
import type { TextGenerator, XMoELanguageModel } from '@xmoe/models';
import { Refusal, unknownModel, type Call, type Handler } from '@xmoe/program/serve';
import type { Tokenizer } from '@xmoe/text';
import { askedTexts, completionSchema, type AskedTexts } from './completion-request.js';
import { createStoppedText } from './stopped-text.js';

export interface CompletionsOptions {
  readonly generator: TextGenerator;
  readonly tokenizer: Tokenizer;
  /** Of the model in the API. */
  readonly name: string;
  /** Tokens that a request may ask for. */
  readonly mostTokens: number;
  /** The model at another threshold. */
  modelAt(threshold: number | undefined): XMoELanguageModel;
}

interface Choice {
  readonly index: number;
  readonly text: string;
  readonly logprobs: null;
  readonly finish_reason: 'stop' | 'length' | null;
}

export function completionsHandler(options: CompletionsOptions): Handler {
  return async (call) => {
    const request = await call.body(completionSchema);
    if (request.model !== undefined && request.model !== options.name) throw unknownModel(request.model, options.name);
    const model = options.modelAt(request.threshold ?? undefined);
    const asked = askedTexts(request, options.tokenizer, options.mostTokens);
    const head = { id: `cmpl-${randomUUID()}`, object: 'text_completion', created: Math.floor(Date.now() / 1000), model: options.name };
    const before = (prompt: { text: string }): string => (request.echo === true ? prompt.text : '');
    if (request.stream !== true) {
      const texts = textsOf(asked).map(({ prompt }) => before(prompt));
      const { ends, usage } = await generateAll(call, options, model, asked, (index, text) => void (texts[index] += text));
      const choices = texts.map((text, index): Choice => ({ index, text, logprobs: null, finish_reason: ends[index]! }));
      return call.json({ ...head, choices, usage });
    }
    const stream = call.stream();
    const withUsage = request.stream_options?.include_usage === true;
    const send = (index: number, text: string, end: Choice['finish_reason']): void => {
      const choice: Choice = { index, text, logprobs: null, finish_reason: end };
      stream.send({ ...head, choices: [choice], ...(withUsage ? { usage: null } : {}) });
    };
    textsOf(asked).forEach(({ prompt }, index) => before(prompt) !== '' && send(index, before(prompt), null));
    const { usage } = await generateAll(call, options, model, asked, (index, text, end) => (text !== '' || end !== null) && send(index, text, end));
    if (withUsage) stream.send({ ...head, choices: [], usage });
    stream.send('[DONE]');
    stream.end();
  };
}

const textsOf = ({ prompts, choices }: AskedTexts) => prompts.flatMap((prompt) => Array.from({ length: choices }, (_, choice) => ({ prompt, choice })));

/**
 * Generates every text that is asked for, side by side. `tell` is given each piece of text as it comes, and why it ended with the last.
 * @throws Refusal when the server ends before
 */
async function generateAll(
  call: Call, { generator, tokenizer }: CompletionsOptions, model: XMoELanguageModel, asked: AskedTexts,
  tell: (index: number, text: string, end: Choice['finish_reason']) => void,
) {
  let completionTokens = 0;
  // One that fails takes the others with it: there is one answer.
  const failing = new AbortController();
  const signal = AbortSignal.any([call.signal, failing.signal]);
  const ends = await Promise.all(textsOf(asked).map(async ({ prompt, choice }, index) => {
    const shown = createStoppedText(asked.stops);
    try {
      const end = await generator.generate({
        ...asked.sampling, model, prompt: prompt.tokens, choice, signal,
        onToken(token) {
          completionTokens++;
          tell(index, shown.add(tokenizer.tokenBytes(token)), null);
          return shown.stopped;
        },
      });
      if (call.signal.aborted) throw new Refusal(503, 'the server is ending: this answer is not whole');
      const rest = shown.end();
      const reason = end === 'length' && !shown.stopped ? 'length' : 'stop';
      tell(index, rest, reason);
      return reason;
    } catch (error) {
      failing.abort();
      throw error;
    }
  }));
  const promptTokens = asked.prompts.reduce((sum, { tokens }) => sum + tokens.length, 0);
  return { ends, usage: { prompt_tokens: promptTokens, completion_tokens: completionTokens, total_tokens: promptTokens + completionTokens } };
}

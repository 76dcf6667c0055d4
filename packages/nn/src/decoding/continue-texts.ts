// Sampling from a language model: texts go on token by token, each new token seen once, with the keys and values of those before it
// kept. The choice of one token is in sampling.ts; text and tokenizers are not here.
import { foldIn, hostUniform, XMoEError, type Engine, type FloatDType, type Parameters, type RandomKey, type Tensor } from '@xmoe/core';
import type { LanguageModel } from '../models/language-model.js';
import type { DecodedPosition } from '../models/prefix-decoding.js';
import { disposeState } from './decoder-state.js';
import { decodingContext } from './decoding-session.js';
import { selectPrefixes, type PrefixState } from './prefix-state.js';
import { checkSampling, sampleToken, type TokenSampling } from './sampling.js';

export interface GeneratingModel<Trace> {
  readonly engine: Engine;
  /**
   * One that drops no claims (grouped dispatch): with a capacity, what is in a step together decides what is dropped. Its routers must
   * look at each token alone, as all do in evaluation but `uniform`, which is for benchmarks.
   */
  readonly model: LanguageModel<Trace>;
  readonly parameters: Parameters;
}

export interface ContinuationOptions extends TokenSampling {
  /** The most tokens to add to each text. */
  readonly maxTokens: number;
  /** One per text: what a text draws depends on its key alone. */
  readonly keys: readonly RandomKey[];
  /** What ends a text, and is not part of it; none by default. */
  readonly endToken?: number;
  /**
   * By how many tokens the window moves when a text fills the context: its oldest ones are forgotten, and the others are read anew.
   * 1, the default: every token is chosen by the `contextLength` last ones, which costs a whole window for each. With n it is at least
   * `contextLength` − n + 1 of them, at the cost of one window in n tokens.
   */
  readonly stride?: number;
  readonly computeDType?: FloatDType;
  /** Awaited before each position: lets others run, or raises to stop. */
  readonly onStep?: () => Promise<void> | void;
}

const OP = 'continueTexts';

/**
 * Continues texts of any lengths side by side: yields the next token of each, null for those that have ended. A text longer than the
 * context is its last `contextLength` tokens. No text depends on the others.
 * @throws XMoEError `value` for options that make no sense, `numerics` when the model's logits have no softmax
 */
export async function* continueTexts<Trace>(
  generating: GeneratingModel<Trace>,
  texts: readonly ArrayLike<number>[],
  options: ContinuationOptions,
): AsyncGenerator<(number | null)[], void, undefined> {
  const { contextLength } = generating.model.config;
  checkOptions(options, texts, contextLength);
  const { maxTokens, endToken, keys, onStep } = options;
  const session = openPrefixes(generating, options.computeDType ?? 'float32', options.stride ?? 1);
  const windows = texts.map((text) => Array.from(text).slice(-contextLength));
  let active = windows.map((_, index) => index);
  try {
    for (let step = 0; step < maxTokens && active.length > 0; step++) {
      await onStep?.();
      const logits = session.next(active.map((index) => windows[index]!));
      const values = await logits.data();
      logits.dispose();
      const vocabulary = values.length / active.length;
      const chosen = texts.map((): number | null => null);
      active.forEach((index, row) => {
        const token = sampleToken(values.subarray(row * vocabulary, (row + 1) * vocabulary), hostUniform(foldIn(keys[index]!, step), 1)[0]!, options);
        if (token === endToken) return;
        chosen[index] = token;
        windows[index]!.push(token);
      });
      const staying = active.flatMap((index, row) => (chosen[index] === null ? [] : [row]));
      session.keep(staying);
      active = staying.map((row) => active[row]!);
      if (active.length > 0) yield chosen;
    }
  } finally {
    session.close();
  }
}

/** Windows of texts that grow by a token a step, and what the model keeps of them. */
interface PrefixSession {
  /** Logits of what follows each window, float32 [R, V]. Cuts windows that have outgrown the context. */
  next(windows: number[][]): Tensor;
  /** Goes on with these rows alone. */
  keep(rows: readonly number[]): void;
  close(): void;
}

function openPrefixes<Trace>({ engine, model, parameters }: GeneratingModel<Trace>, computeDType: FloatDType, stride: number): PrefixSession {
  const context = decodingContext(computeDType);
  const { contextLength } = model.config;
  let state: PrefixState | null = null;
  const replace = (compute: () => DecodedPosition): Tensor => {
    const { logits, next } = engine.scope(() => {
      const position = compute();
      return { logits: model.logits(parameters, position.x), next: position.state };
    });
    if (state) disposeState(state, next);
    state = next;
    return logits;
  };
  const read = (windows: readonly number[][]): Tensor => replace(() => {
    const length = windows.reduce((most, window) => Math.max(most, window.length), 0);
    const padded = Int32Array.from({ length: windows.length * length }, (_, place) => windows[Math.floor(place / length)]![place % length] ?? 0);
    const prefixes = { shape: { batch: windows.length, length }, tokens: engine.tensor(padded), lengths: windows.map((window) => window.length) };
    return model.startDecoding(parameters, prefixes, context);
  });
  return {
    next(windows) {
      const full = windows.filter((window) => window.length > contextLength);
      for (const window of full) window.splice(0, window.length - contextLength + stride - 1);
      if (!state || full.length > 0) return read(windows); // positions are counted from the beginning of a window
      const before = state;
      return replace(() => model.decodeStep(parameters, before, engine.tensor(Int32Array.from(windows, (window) => window.at(-1)!)), context));
    },
    keep(rows) {
      if (!state || rows.length === 0) return;
      const before = state;
      state = engine.scope(() => selectPrefixes(engine, before, rows));
      disposeState(before, state);
    },
    close() {
      if (state) disposeState(state);
      state = null;
    },
  };
}

function checkOptions({ maxTokens, keys, stride = 1, ...sampling }: ContinuationOptions, texts: readonly ArrayLike<number>[], contextLength: number): void {
  checkSampling(sampling);
  const fail = (problem: string, hint: string): never => {
    throw new XMoEError('value', problem, { op: OP, hint });
  };
  if (!Number.isInteger(maxTokens) || maxTokens < 0) fail(`the number of tokens is ${maxTokens}`, 'pass a whole number');
  if (keys.length !== texts.length) fail(`${keys.length} keys for ${texts.length} texts`, 'pass one per text');
  if (!Number.isInteger(stride) || stride < 1 || stride > contextLength) fail(`the stride is ${stride} with a context of ${contextLength}`, 'pass a whole number from 1 to the context');
  const empty = texts.findIndex((text) => text.length === 0);
  if (empty >= 0) fail(`text ${empty} has no token to begin with`, 'pass the token that separates texts');
}

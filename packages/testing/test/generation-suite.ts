// Generation with cached keys and values beside the whole model for every token, for every router. No tests of its own.
import { createCpuBackend } from '@xmoe/backend-cpu';
import { createEngine, foldIn, hostUniform, initializeParameters, randomKey, type Backend, type Engine, type Parameters } from '@xmoe/core';
import { createMoeFeedForward, type RoutingTrace } from '@xmoe/moe';
import { continueTexts, createDenseFeedForward, createLanguageModel, sampleToken, type LanguageModel } from '@xmoe/nn';
import type { RouterConfig } from '@xmoe/routers/by-name';
import { describe, expect, it } from 'vitest';

const [V, CONTEXT, d] = [29, 10, 16];
/** All but `uniform`, which routes by the place in a batch: what it chooses for a token says nothing. */
const ROUTERS: (RouterConfig | null)[] = [null, { type: 'threshold', threshold: 0.8 }, { type: 'topk', k: 2 }, { type: 'switch' }, { type: 'hash' }, { type: 'base' }];
/** One that the context outgrows, and one that is longer to begin with. */
const TEXTS = [[3, 1, 4], [2], Array.from({ length: 13 }, (_, index) => (index * 7) % V)];
const TOKENS = 12;
const SAMPLING = { temperature: 0.8, topK: 0, topP: 0.95 };
const CONTEXT_OF_USE = { training: false, key: null, computeDType: 'float32', tokenIds: null, mask: null, collect: 'nothing' } as const;

function modelWith(router: RouterConfig | null): LanguageModel<RoutingTrace> {
  return createLanguageModel<RoutingTrace>({
    vocabularySize: V, contextLength: CONTEXT, width: d, heads: 2, layers: 2, dropout: 0.1, initStd: 0.4,
    feedForward: ({ index, name, std, outputStd }) => index === 2 && router
      ? createMoeFeedForward({ router, dispatch: 'grouped', name: `${name}.moe`, width: d, hidden: 8, experts: 8, vocabularySize: V, initStd: std, outputStd })
      : createDenseFeedForward({ name: `${name}.mlp`, width: d, hidden: 32, activation: 'gelu-tanh', std, outputStd }),
  });
}

const parametersOn = (engine: Engine, model: LanguageModel<RoutingTrace>): Parameters => initializeParameters(engine, model.parameters, randomKey(42));

async function wholeLogits(engine: Engine, model: LanguageModel<RoutingTrace>, parameters: Parameters, text: readonly number[]): Promise<Float32Array> {
  const logits = engine.scope(() => model.logitsAt(parameters, engine.tensor(Int32Array.from(text)), { batch: 1, length: text.length }, text.length - 1, CONTEXT_OF_USE));
  const values = await logits.data();
  logits.dispose();
  return values as Float32Array;
}

/** Every text by itself, the whole window for each token, on the plain backend. */
async function uncached(model: LanguageModel<RoutingTrace>): Promise<number[][]> {
  const engine = createEngine(createCpuBackend());
  const parameters = parametersOn(engine, model);
  const texts = TEXTS.map((text) => [...text]);
  for (const [row, text] of texts.entries()) {
    for (let index = 0; index < TOKENS; index++) {
      const logits = await wholeLogits(engine, model, parameters, text.slice(-CONTEXT));
      text.push(sampleToken(logits, hostUniform(foldIn(foldIn(randomKey(9), row), index), 1)[0]!, SAMPLING));
    }
  }
  engine.dispose();
  return texts.map((text, row) => text.slice(TEXTS[row]!.length));
}

export function describeGeneration(name: string, open: () => Promise<Backend> | Backend): void {
  describe(`generation on ${name}`, () => {
    it.each(ROUTERS)('with cached keys and values equals the whole model for every token: %o', async (router) => {
      const model = modelWith(router);
      const expected = await uncached(model);
      const engine = createEngine(await open());
      const parameters = parametersOn(engine, model);
      const drawn: number[][] = TEXTS.map(() => []);
      const keys = TEXTS.map((_, row) => foldIn(randomKey(9), row));
      for await (const tokens of continueTexts({ engine, model, parameters }, TEXTS, { maxTokens: TOKENS, keys, ...SAMPLING })) {
        tokens.forEach((token, row) => drawn[row]!.push(token!));
      }
      expect(drawn).toEqual(expected);
      await compareLogits(engine, model, parameters);
      engine.dispose();
    });
  });
}

async function compareLogits(engine: Engine, model: LanguageModel<RoutingTrace>, parameters: Parameters): Promise<void> {
  const text = [5, 17, 3, 28, 0, 11];
  const lengths = [2, 4];
  const rows = lengths.map((length) => Array.from({ length: 4 }, (_, place) => (place < length ? text[place]! : 0)));
  let at = model.startDecoding(parameters, { shape: { batch: 2, length: 4 }, tokens: engine.tensor(Int32Array.from(rows.flat())), lengths }, CONTEXT_OF_USE);
  for (let more = 0; more <= 2; more++) {
    if (more > 0) at = model.decodeStep(parameters, at.state, engine.tensor(Int32Array.from(lengths, (length) => text[length + more - 1]!)), CONTEXT_OF_USE);
    const logits = await model.logits(parameters, at.x).data();
    for (const [row, length] of lengths.entries()) {
      const expected = await wholeLogits(engine, model, parameters, text.slice(0, length + more));
      const worst = Math.max(...expected.map((value, id) => Math.abs(value - logits[row * V + id]!)));
      expect(worst).toBeLessThan(1e-4);
    }
  }
}

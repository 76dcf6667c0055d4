// Cached decoding against the full forward pass; beam search against enumeration, greedy and single sentences; sampling.
import { createCpuBackend, createWasmBackend } from '@xmoe/backend-cpu';
import { createEngine, foldIn, randomKey, type Engine } from '@xmoe/core';
import { createMoeFeedForward, type RoutingTrace } from '@xmoe/moe';
import {
  beamSearch, createDenseFeedForward, createEncoderDecoder, maximumLengths, sampleSequences,
  type BeamSearchOptions, type DecodedModel, type DecoderState, type EncoderDecoder, type Hypothesis,
} from '@xmoe/nn';
import { afterAll, describe, expect, it } from 'vitest';
import { selectRows } from '../src/decoding/decoder-state.js';
import { drawnParameters, EVALUATION, expectClose, float64, read, tinyFeedForward } from './tiny.js';
import { createTinyTranslator, paddedRows, type TinyTranslatorOptions } from './tiny-translator.js';

const engine = float64();
afterAll(() => engine.dispose());

const experts: TinyTranslatorOptions['feedForward'] = ({ name, std, outputStd }) => tinyFeedForward('grouped', name, std, outputStd);
const KINDS: readonly [string, TinyTranslatorOptions][] = [
  ['dense, pre-norm, learned positions', { norm: 'pre', positions: 'learned', tiedEmbeddings: 'decoder' }],
  ['experts everywhere, post-norm, sinusoids', { norm: 'post', positions: 'sinusoidal', tiedEmbeddings: 'all', feedForward: experts }],
];
const SOURCES = [[3, 1, 4, 0], [2, 0]];

function decodedOf(options: TinyTranslatorOptions): DecodedModel<RoutingTrace> {
  const model = createTinyTranslator({ decoderLayers: 2, contextLength: 8, ...options });
  return { engine, model, parameters: drawnParameters(engine, model.parameters, 0.7) };
}

/** log softmax of the logits after each prefix, computed anew for every one of them. */
function fullLogProbabilities({ model, parameters }: DecodedModel<RoutingTrace>, sources: readonly (readonly number[])[], prefixes: readonly (readonly number[])[]): number[][] {
  return engine.scope(() => {
    const source = paddedRows(engine, sources);
    const memory = model.encode(parameters, source, EVALUATION).x;
    const target = paddedRows(engine, prefixes);
    const logits = read(model.logits(parameters, model.decode(parameters, target, source, memory, EVALUATION).x));
    const V = model.config.vocabularySize;
    return prefixes.map((prefix, row) => {
      const last = logits.slice((row * target.shape.length + prefix.length - 1) * V).slice(0, V);
      const normalizer = Math.log(last.reduce((sum, logit) => sum + Math.exp(logit), 0));
      return last.map((logit) => logit - normalizer);
    });
  });
}

describe.each(KINDS)('%s', (_, options) => {
  const decoded = decodedOf(options);
  const { model, parameters } = decoded;
  const logSoftmax = (state: DecoderState, tokens: number[]): { state: DecoderState; rows: number[][] } => {
    const { x, state: next } = model.decodeStep(parameters, state, engine.tensor(Int32Array.from(tokens)), EVALUATION);
    const logits = read(model.logits(parameters, x));
    const V = model.config.vocabularySize;
    return { state: next, rows: tokens.map((_, row) => {
      const values = logits.slice(row * V, row * V + V);
      const normalizer = Math.log(values.reduce((sum, logit) => sum + Math.exp(logit), 0));
      return values.map((logit) => logit - normalizer);
    }) };
  };

  it('a cached step equals the full forward pass, position by position', () => {
    const prefixes = [[0, 5, 2, 6, 1, 3, 3], [0, 1, 4, 6, 2, 2, 5]];
    let state = model.startDecoding(parameters, paddedRows(engine, SOURCES), EVALUATION);
    for (let length = 1; length <= 7; length++) {
      const step = logSoftmax(state, prefixes.map((prefix) => prefix[length - 1]!));
      const expected = fullLogProbabilities(decoded, SOURCES, prefixes.map((prefix) => prefix.slice(0, length)));
      expectClose(step.rows.flat(), expected.flat(), 1e-12);
      state = step.state;
      expect(state.length).toBe(length);
    }
  });

  it('rows can be repeated, swapped and left out, with their sources', () => {
    let { state } = logSoftmax(model.startDecoding(parameters, paddedRows(engine, SOURCES), EVALUATION), [0, 0]);
    ({ state } = logSoftmax(selectRows(state, { rows: [0, 0, 1, 1] }), [5, 2, 6, 4])); // [0 5], [0 2] | [0 6], [0 4]
    const swapped = logSoftmax(selectRows(state, { rows: [1, 0, 2, 2] }), [1, 1, 3, 1]);
    const sources = [SOURCES[0]!, SOURCES[0]!, SOURCES[1]!, SOURCES[1]!];
    expectClose(swapped.rows.flat(), fullLogProbabilities(decoded, sources, [[0, 2, 1], [0, 5, 1], [0, 6, 3], [0, 6, 1]]).flat(), 1e-12);
    const second = logSoftmax(selectRows(swapped.state, { rows: [3, 2], sequences: [1] }), [5, 6]);
    expectClose(second.rows.flat(), fullLogProbabilities(decoded, sources.slice(2), [[0, 6, 1, 5], [0, 6, 3, 6]]).flat(), 1e-12);
    expect(second.state).toMatchObject({ sequences: 1, rows: 2, length: 4 });
  });

  it.each([
    { lengthPenalty: 1, forbiddenTokens: [] },
    { lengthPenalty: 0, forbiddenTokens: [3] },
    { lengthPenalty: -0.5, forbiddenTokens: [] },
  ])('a beam that holds everything finds what enumeration finds: %j', async (search) => {
    const small = decodedOf({ ...options, vocabularySize: 5 });
    const sources = [[3, 1, 4, 0], [2, 0]];
    const maxLengths = [3, 2];
    const found = await beamSearch(small, paddedRows(engine, sources), { startToken: 0, endToken: 0, maxLengths, beam: 400, nBest: 12, ...search });
    sources.forEach((source, index) => {
      const all = enumerate(small, source, maxLengths[index]!, search.forbiddenTokens, search.lengthPenalty);
      expect(found[index]!.map(({ tokens }) => tokens)).toEqual(all.slice(0, 12).map(({ tokens }) => tokens));
      expectClose(found[index]!.map(({ score }) => score), all.slice(0, 12).map(({ score }) => score), 1e-12);
      expectClose(found[index]!.map(({ logProbability }) => logProbability), all.slice(0, 12).map(({ logProbability }) => logProbability), 1e-12);
    });
  });

  it('a beam of 1 is greedy, and a wide one never worse on the whole', async () => {
    const sources = [[3, 1, 4, 0], [2, 0], [5, 5, 1, 0], [6, 4, 0], [1, 2, 3, 0]];
    const search = { startToken: 0, endToken: 0, maxLengths: [6, 6, 6, 6, 6], lengthPenalty: 0 };
    const narrow = await beamSearch(decoded, paddedRows(engine, sources), { ...search, beam: 1 });
    sources.forEach((source, index) => {
      const expected = greedy(decoded, source, 6);
      expect(narrow[index]![0]!.tokens).toEqual(expected.tokens);
      expectClose([narrow[index]![0]!.logProbability], [expected.logProbability], 1e-12);
      expect(narrow[index]![0]!.complete).toBe(expected.complete);
    });
    const wide = await beamSearch(decoded, paddedRows(engine, sources), { ...search, beam: 50 });
    const total = (all: Hypothesis[][]): number => all.reduce((sum, [best]) => sum + best!.logProbability, 0);
    expect(total(wide)).toBeGreaterThanOrEqual(total(narrow));
  });
});

interface Scored {
  tokens: number[];
  logProbability: number;
  score: number;
}

/** Every sequence of at most `longest` tokens with its probability, best first. The end token is 0. */
function enumerate(decoded: DecodedModel<RoutingTrace>, source: readonly number[], longest: number, forbidden: readonly number[], lengthPenalty: number): Scored[] {
  const out: Scored[] = [];
  const visit = (tokens: number[], logProbability: number): void => {
    const [row] = fullLogProbabilities(decoded, [source], [[0, ...tokens]]);
    const whole = logProbability + row![0]!;
    out.push({ tokens, logProbability: whole, score: whole / (tokens.length + 1) ** lengthPenalty });
    if (tokens.length === longest) return;
    row!.forEach((value, token) => {
      if (token !== 0 && !forbidden.includes(token)) visit([...tokens, token], logProbability + value);
    });
  };
  visit([], 0);
  return out.sort((a, b) => b.score - a.score);
}

function greedy(decoded: DecodedModel<RoutingTrace>, source: readonly number[], longest: number): { tokens: number[]; logProbability: number; complete: boolean } {
  const tokens: number[] = [];
  let logProbability = 0;
  for (;;) {
    const [row] = fullLogProbabilities(decoded, [source], [[0, ...tokens]]);
    const best = row!.indexOf(Math.max(...row!));
    if (best === 0 || tokens.length === longest) return { tokens, logProbability: logProbability + row![0]!, complete: best === 0 };
    tokens.push(best);
    logProbability += row![best]!;
  }
}

describe('a batch', () => {
  /** Wide enough for the compiled attention, experts in every layer of both sides. */
  function wideModel(on: Engine): DecodedModel<RoutingTrace> {
    const model: EncoderDecoder<RoutingTrace> = createEncoderDecoder<RoutingTrace>({
      vocabularySize: 40, tiedEmbeddings: 'all', contextLength: 40, width: 32, heads: 2, encoderLayers: 2, decoderLayers: 2,
      dropout: 0, initStd: 0.4, labelSmoothing: 0, norm: 'pre', positions: 'sinusoidal',
      feedForward: ({ index, name, std, outputStd }) => index === 1
        ? createDenseFeedForward({ name: `${name}.mlp`, width: 32, hidden: 48, activation: 'relu', std, outputStd })
        : createMoeFeedForward({ name: `${name}.moe`, width: 32, hidden: 16, experts: 8, router: { type: 'threshold', threshold: 0.6 }, dispatch: 'grouped', activation: 'relu', initStd: std, outputStd }),
    });
    return { engine: on, model, parameters: drawnParameters(on, model.parameters, 0.3) };
  }
  const sources = [[7, 1, 4, 0], [2, 0], Array.from({ length: 23 }, (_, i) => (i * 7) % 39 + 1), [9, 9, 3, 17, 21, 5, 33, 0], [12, 0]];
  const search = { startToken: 1, endToken: 0, forbiddenTokens: [1], beam: 3, nBest: 3 };
  const lengths = (of: typeof sources): number[] => maximumLengths(of.map((row) => row.length), { ratio: 1, extra: 4, limit: 24 });

  it.each([['cpu:wasm', createWasmBackend], ['cpu:plain', async () => createCpuBackend()]] as const)('changes no bit of a sentence on %s', async (_, open) => {
    const on = createEngine(await open());
    const decoded = wideModel(on);
    const run = (of: typeof sources, length?: number) => beamSearch(decoded, paddedRows(on, of, length), { ...search, maxLengths: lengths(of) });
    const together = await run(sources);
    for (const [index, source] of sources.entries()) {
      expect((await run([source]))[0]).toEqual(together[index]);
      expect((await run([source], 31))[0]).toEqual(together[index]);
    }
    expect((await run([...sources].reverse())).reverse()).toEqual(together);
    expect(new Set(together.map(([best]) => best!.tokens.join())).size).toBeGreaterThan(3); // they do differ
    on.dispose();
  });

  it('leaves no buffer behind, also after an error', async () => {
    const decoded = wideModel(engine);
    const source = paddedRows(engine, sources);
    engine.scope(() => void decoded.model.encode(decoded.parameters, source, EVALUATION)); // its sinusoids stay on the engine
    const { buffers } = engine.memory();
    await beamSearch(decoded, source, { ...search, maxLengths: lengths(sources) });
    expect(engine.memory().buffers).toBe(buffers);
    let steps = 0;
    const stop = (): void => { if (++steps === 4) throw new Error('stopped'); };
    await expect(beamSearch(decoded, source, { ...search, maxLengths: lengths(sources), onStep: stop })).rejects.toThrow('stopped');
    expect(engine.memory().buffers).toBe(buffers);
    decoded.parameters['decoder.ln_f.bias']!.write(new Array(32).fill(Number.NaN));
    await expect(beamSearch(decoded, source, { ...search, maxLengths: lengths(sources) })).rejects.toThrow('not numbers');
    expect(engine.memory().buffers).toBe(buffers);
  });
});

describe('beamSearch', () => {
  const decoded = decodedOf({});
  it.each([
    [{ beam: 0 }, 'the beam is 0'],
    [{ beam: 2, nBest: 3 }, 'nBest is 3 with a beam of 2'],
    [{ lengthPenalty: Number.NaN }, 'the length penalty is NaN'],
    [{ maxLengths: [3] }, '1 maximum lengths for 2 sources'],
    [{ maxLengths: [3, 1.5] }, 'a maximum length is 1.5'],
  ] as [Partial<BeamSearchOptions>, string][])('refuses %j', async (options, message) => {
    await expect(beamSearch(decoded, paddedRows(engine, SOURCES), { startToken: 0, endToken: 0, maxLengths: [3, 3], ...options })).rejects.toThrow(message);
  });

  it('maximumLengths follows each source alone', () => {
    expect(maximumLengths([1, 10, 100], { ratio: 1.5, extra: 5, limit: 60 })).toEqual([7, 20, 60]);
  });
});

describe('sampleSequences', () => {
  const decoded = decodedOf({});
  const options = { startToken: 0, endToken: 0, maxLengths: [5, 5], temperature: 1, topK: 0, topP: 1 };
  const keys = [7, 8].map((id) => foldIn(randomKey(3), id));
  const sample = (sources: number[][], more: object = {}) => sampleSequences(decoded, paddedRows(engine, sources), { ...options, keys, ...more });

  it('temperature 0 is greedy', async () => {
    const drawn = await sample(SOURCES, { temperature: 0 });
    SOURCES.forEach((source, index) => expect(drawn[index]!.tokens).toEqual(greedy(decoded, source, 5).tokens));
  });

  it('a source draws by its key alone', async () => {
    const together = await sample(SOURCES);
    expect(await sample(SOURCES)).toEqual(together);
    expect((await sample([SOURCES[1]!], { keys: [keys[1]!], maxLengths: [5] }))[0]).toEqual(together[1]);
    expect(await sample(SOURCES, { keys: [9, 10].map((id) => foldIn(randomKey(4), id)) })).not.toEqual(together);
  });

  it('draws the first token as often as the model says', async () => {
    const count = 3000;
    const drawn = await sampleSequences(decoded, paddedRows(engine, new Array(count).fill(SOURCES[0])), {
      ...options, maxLengths: new Array(count).fill(1), keys: Array.from({ length: count }, (_, index) => foldIn(randomKey(5), index)),
    });
    const [expected] = fullLogProbabilities(decoded, [SOURCES[0]!], [[0]]);
    expected!.forEach((logProbability, token) => {
      const share = drawn.filter(({ tokens }) => (tokens[0] ?? 0) === token).length / count;
      expect(Math.abs(share - Math.exp(logProbability))).toBeLessThan(0.04); // four standard deviations
    });
  });

  it('takes vocabularies of any size, and refuses logits that are not numbers', async () => {
    const model = createTinyTranslator({ vocabularySize: 2 ** 18, encoderLayers: 0, decoderLayers: 0 });
    const parameters = drawnParameters(engine, model.parameters, 0.7);
    const source = paddedRows(engine, SOURCES);
    const more = { ...options, keys, maxLengths: [1, 1] };
    for (const temperature of [0, 1]) {
      const drawn = await sampleSequences({ engine, model, parameters }, source, { ...more, temperature });
      for (const { logProbability } of drawn) expect(logProbability).toBeLessThan(0);
    }
    const diverged = Object.fromEntries(Object.entries(parameters).map(([name, tensor]) => [name, engine.full(tensor.shape, NaN).keep()]));
    await expect(sampleSequences({ engine, model, parameters: diverged }, source, more)).rejects.toThrow('the probabilities of the model are not numbers');
  });

  it('never draws a forbidden token, and says when the length ended it', async () => {
    const drawn = await sample(SOURCES, { forbiddenTokens: [1, 2, 3, 4, 5] });
    for (const { tokens } of drawn) expect(tokens.every((token) => token === 6)).toBe(true);
    const [cut] = await sample(SOURCES, { maxLengths: [0, 0] });
    expect(cut).toMatchObject({ tokens: [] });
    await expect(sample(SOURCES, { topP: 0 })).rejects.toThrow('top-p is 0');
  });
});

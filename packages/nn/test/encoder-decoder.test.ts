// The encoder-decoder: padding changes nothing, gradients, label smoothing, cross-attention, positions, checkpointing.
import { afterAll, describe, expect, it } from 'vitest';
import { createCpuBackend } from '@xmoe/backend-cpu';
import { createEngine, createReplay, valueAndGrad, type Tensor } from '@xmoe/core';
import { sinusoids, type SequenceBatch, type TranslationBatch } from '@xmoe/nn';
import { checkGradients, createRecordingBackend } from '@xmoe/testing';
import { drawnParameters, EVALUATION, expectClose, float64, lossAndGradients, read, tinyFeedForward, trainingWith } from './tiny.js';
import { createTinyTranslator, paddedRows, type TinyTranslatorOptions } from './tiny-translator.js';

const engine = float64();
afterAll(() => engine.dispose());

const tinyTranslator = (options: TinyTranslatorOptions = {}) => createTinyTranslator(options);
const sequences = (rows: readonly (readonly number[])[], length: number): SequenceBatch => paddedRows(engine, rows, length);

const SOURCES = [[3, 1, 4], [2, 6]];
const TARGETS = [[5, 2], [1, 4, 6]];

/** Decoder inputs begin with token 0; the labels are the targets, ended by 0. */
function translation(sourceLength: number, targetLength: number, on = engine): TranslationBatch {
  const labels = TARGETS.flatMap((row) => Array.from({ length: targetLength }, (_, index) => (index === row.length ? 0 : (row[index] ?? -1))));
  return {
    source: paddedRows(on, SOURCES, sourceLength),
    target: paddedRows(on, TARGETS.map((row) => [0, ...row]), targetLength),
    labels: on.tensor(Int32Array.from(labels)).keep(),
  };
}

const bothSides: TinyTranslatorOptions['feedForward'] = ({ name, std, outputStd }) => tinyFeedForward('grouped', name, std, outputStd);
const KINDS: readonly [string, TinyTranslatorOptions][] = [
  ['dense, pre-norm, learned positions', { norm: 'pre', positions: 'learned', tiedEmbeddings: 'decoder' }],
  ['grouped experts in the encoder, post-norm, sinusoids', { dispatch: 'grouped', norm: 'post', positions: 'sinusoidal', tiedEmbeddings: 'all' }],
  ['grouped experts on both sides, pre-norm, sinusoids', { feedForward: bothSides, norm: 'pre', positions: 'sinusoidal', tiedEmbeddings: 'all' }],
];

describe.each(KINDS)('%s', (_, shape) => {
  it('the gradient of every parameter equals central differences', async () => {
    const model = tinyTranslator({ ...shape, dropout: 0.2 });
    const parameters = drawnParameters(engine, model.parameters);
    const context = trainingWith(engine, 3);
    const batch = translation(3, 4);
    const named = (tensors: readonly Tensor[]) => Object.fromEntries(model.parameters.map(({ name }, index) => [name, tensors[index]!]));
    const inputs = model.parameters.map(({ name, shape }) => ({ shape, data: read(parameters[name]!) }));
    engine.scope(() => void model.loss(parameters, batch, context)); // its sinusoids stay on the engine
    expect(await checkGradients(engine, (tensors) => model.loss(named(tensors), batch, context).loss, inputs)).toEqual([]);
  });

  it('padding changes neither states, nor loss, nor gradients', () => {
    const model = tinyTranslator({ ...shape });
    const parameters = drawnParameters(engine, model.parameters);
    const context = { ...trainingWith(engine, 3), collect: 'statistics' as const };
    const states = (length: number): number[] => {
      const { x } = model.encode(parameters, sequences(SOURCES, length), EVALUATION);
      return SOURCES.flatMap((row, index) => read(x).slice(index * length * 4, (index * length + row.length) * 4));
    };
    const run = (sourceLength: number, targetLength: number) =>
      lossAndGradients(engine, (weights) => model.loss(weights, translation(sourceLength, targetLength), context), parameters);
    const [tight, wide] = [run(3, 4), run(6, 5)];
    expectClose(states(5), states(3), 1e-12);
    expectClose([wide.loss], [tight.loss], 1e-12);
    for (const { name } of model.parameters) expectClose(wide.gradients[name]!, tight.gradients[name]!, 1e-12);
  });

  it('checkpointing gives the same loss and gradients', () => {
    const parameters = drawnParameters(engine, tinyTranslator({ ...shape }).parameters);
    const [plain, recomputed] = [false, true].map((checkpointing) => {
      const model = tinyTranslator({ ...shape, dropout: 0.2, checkpointing });
      return lossAndGradients(engine, (weights) => model.loss(weights, translation(4, 5), { ...trainingWith(engine, 2), collect: 'statistics' }), parameters);
    });
    expect(recomputed!.loss).toBe(plain!.loss);
    for (const [name, gradient] of Object.entries(plain!.gradients)) expectClose(recomputed!.gradients[name]!, gradient, 1e-12);
  });

  it('can be recorded and replayed, as training does', async () => {
    const recording = createEngine(createRecordingBackend(createCpuBackend()));
    const model = createTinyTranslator({ ...shape, dropout: 0.2 });
    const parameters = drawnParameters(recording, model.parameters);
    const batch = translation(3, 4, recording);
    const context = trainingWith(recording, 3);
    const replay = createReplay(recording);
    const losses: number[] = [];
    for (let time = 0; time < 4; time++) {
      const { loss } = replay.run('', (segment) => segment(() => valueAndGrad(recording, (weights) => model.loss(weights, batch, context).loss, parameters)));
      losses.push(await loss.item());
    }
    expect(replay.status('')).toBe('recorded');
    expect(new Set(losses).size).toBe(1);
    recording.dispose();
  });
});

describe('decoder', () => {
  const model = tinyTranslator();
  const parameters = drawnParameters(engine, model.parameters);
  const memoryOf = (source: SequenceBatch): Tensor => model.encode(parameters, source, EVALUATION).x;
  const decode = (source: SequenceBatch, target: SequenceBatch): number[] => read(model.decode(parameters, target, source, memoryOf(source), EVALUATION).x);

  it('sees the source, through cross-attention', () => {
    const target = sequences([[0, 5, 2]], 3);
    expect(decode(sequences([[3, 1, 4]], 3), target)).not.toEqual(decode(sequences([[3, 1, 5]], 3), target));
  });

  it('sees no later target token', () => {
    const source = sequences([[3, 1, 4]], 3);
    const [one, other] = [[0, 5, 2], [0, 5, 6]].map((row) => decode(source, sequences([row], 3)));
    expect(one!.slice(0, 8)).toEqual(other!.slice(0, 8));
    expect(one!.slice(8)).not.toEqual(other!.slice(8));
  });

  it('logits are its states times the tied embedding', () => {
    const states = model.decode(parameters, sequences([[0, 5]], 2), sequences([[3]], 1), memoryOf(sequences([[3]], 1)), EVALUATION).x;
    const embedding = read(parameters['wte.weight']!);
    const expected = [0, 1].flatMap((row) => Array.from({ length: 7 }, (_, token) =>
      [0, 1, 2, 3].reduce((sum, column) => sum + read(states)[row * 4 + column]! * embedding[token * 4 + column]!, 0)));
    expectClose(read(model.logits(parameters, states)), expected);
  });
});

describe('loss', () => {
  const model = tinyTranslator();
  const parameters = drawnParameters(engine, model.parameters);
  const batch = translation(3, 4);
  const lossIn = (training: boolean, of = model): number => read(of.loss(parameters, batch, { ...EVALUATION, training }).loss)[0]!;

  it('smooths labels in training: (1 − ε)·nll + ε·the mean over the vocabulary', () => {
    const states = model.decode(parameters, batch.target, batch.source, model.encode(parameters, batch.source, EVALUATION).x, EVALUATION).x;
    const logits = read(model.logits(parameters, states));
    const labels = read(batch.labels);
    let [plain, smoothed, count] = [0, 0, 0];
    labels.forEach((label, row) => {
      if (label < 0) return;
      const values = logits.slice(row * 7, row * 7 + 7);
      const logSum = Math.log(values.reduce((sum, value) => sum + Math.exp(value), 0));
      const uniform = values.reduce((sum, value) => sum + (logSum - value), 0) / 7;
      plain += logSum - values[label]!;
      smoothed += 0.9 * (logSum - values[label]!) + 0.1 * uniform;
      count++;
    });
    expect(count).toBe(7);
    expectClose([lossIn(true), lossIn(false)], [smoothed / count, plain / count]);
    expect(lossIn(true, tinyTranslator({ labelSmoothing: 0 }))).toBe(lossIn(false));
  });

  it('sums the auxiliary losses of both sides and reports both traces', () => {
    const both = tinyTranslator({ feedForward: bothSides });
    const weights = drawnParameters(engine, both.parameters);
    const context = { ...trainingWith(engine, 1), collect: 'statistics' as const };
    const memory = both.encode(weights, batch.source, context);
    const states = both.decode(weights, batch.target, batch.source, memory.x, context);
    const { auxLoss, loss, crossEntropy, traces } = both.loss(weights, batch, context, { auxScale: 0.5 });
    expectClose(read(auxLoss!), [0.5 * (read(memory.auxLoss!)[0]! + read(states.auxLoss!)[0]!)]);
    expectClose(read(loss), [read(crossEntropy)[0]! + read(auxLoss!)[0]!]);
    expect(traces.map(({ layer }) => layer)).toEqual(['encoder.h.0', 'decoder.h.0']);
    expect(read(traces[0]!.trace.tokens)).toEqual([5]); // padding is not counted
  });
});

describe('parameters and positions', () => {
  it('names both sides; final norms with pre-norm only; a table of positions only when learned', () => {
    const names = (options: TinyTranslatorOptions): string[] => tinyTranslator(options).parameters.map(({ name }) => name);
    const published = names({});
    expect(published).toContain('encoder.h.0.attn.c_attn.weight');
    expect(published).toContain('decoder.h.0.crossattention.q_attn.weight');
    expect(published.filter((name) => name.includes('encoder') && name.includes('cross'))).toEqual([]);
    const ofOptions = (all: string[]): string[] => all.filter((name) => /ln_f|wpe|wte/.test(name));
    expect(ofOptions(published)).toEqual(['wte.weight']);
    expect(ofOptions(names({ norm: 'pre', positions: 'learned', tiedEmbeddings: 'decoder' }))).toEqual([
      'encoder.wte.weight', 'decoder.wte.weight',
      'encoder.wpe.weight', 'encoder.ln_f.weight', 'encoder.ln_f.bias', 'decoder.wpe.weight', 'decoder.ln_f.weight', 'decoder.ln_f.bias',
    ]);
  });

  it('sinusoids are sin and cos of position / 10000^(2i/d)', () => {
    const table = sinusoids(50, 6);
    expectClose(table.subarray(0, 6), [0, 1, 0, 1, 0, 1], 1e-7);
    expectClose(table.subarray(49 * 6), [2, 2, 1, 1, 0, 0].flatMap((_, column) => {
      const angle = 49 / 10000 ** ((2 * Math.floor(column / 2)) / 6);
      return [column % 2 === 0 ? Math.sin(angle) : Math.cos(angle)];
    }), 1e-6);
  });

  it('sinusoids go on beyond the context, learned positions do not', () => {
    const long = sequences([[1, 2, 3, 4, 5, 6, 0, 1]], 8);
    const encode = (options: TinyTranslatorOptions) => {
      const model = tinyTranslator(options);
      return read(model.encode(drawnParameters(engine, model.parameters), long, EVALUATION).x);
    };
    expect(encode({}).every(Number.isFinite)).toBe(true);
    expect(() => encode({ positions: 'learned' })).toThrow('sequences of 8 tokens exceed the context of 6');
    expect(() => tinyTranslator({ heads: 3 })).toThrow('encoderDecoder: width 4 is not a multiple of heads 3');
  });

  it('sinusoids are those of their positions in sequences of any length, in any order', () => {
    const model = tinyTranslator({ encoderLayers: 0 });
    const parameters = drawnParameters(engine, model.parameters);
    const first = read(parameters['wte.weight']!).slice(0, 4);
    for (const length of [3, 300, 700, 5]) {
      const positions = sinusoids(length, 4);
      const expected = Array.from(positions, (value, index) => 2 * first[index % 4]! + value);
      expectClose(read(model.encode(parameters, sequences([Array.from({ length }, () => 0)], length), EVALUATION).x), expected, 1e-6);
    }
  });

  it('scales embeddings by √d before the positions', () => {
    const model = tinyTranslator({ encoderLayers: 0 });
    const parameters = drawnParameters(engine, model.parameters);
    const table = read(parameters['wte.weight']!);
    const positions = sinusoids(2, 4);
    const expected = [5, 3].flatMap((token, position) => [0, 1, 2, 3].map((column) => 2 * table[token * 4 + column]! + positions[position * 4 + column]!));
    expectClose(read(model.encode(parameters, sequences([[5, 3]], 2), EVALUATION).x), expected);
  });
});

// Linear, embedding, norm, dropout and the dense feed-forward against the formulas written out.
import { afterAll, describe, expect, it } from 'vitest';
import { createDenseFeedForward, dropoutAt, embedding, embeddingParameters, layerNormParameters, linear, linearParameters, normalize } from '@xmoe/nn';
import { drawnParameters, EVALUATION, expectClose, float64, normalTensor, read, trainingWith } from './tiny.js';

const engine = float64();
afterAll(() => engine.dispose());

const gelu = (x: number): number => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
/** x [R, a] · w [a, b] + bias [b]. */
function affine(x: readonly number[], w: readonly number[], bias: readonly number[]): number[] {
  const b = bias.length;
  const a = w.length / b;
  return Array.from({ length: (x.length / a) * b }, (_, index) => {
    const [row, column] = [Math.floor(index / b), index % b];
    let sum = bias[column]!;
    for (let inner = 0; inner < a; inner++) sum += x[row * a + inner]! * w[inner * b + column]!;
    return sum;
  });
}

describe('linear', () => {
  it('is activation(x·W + b) with weights [in, out]', () => {
    const specs = linearParameters('fc', { inputs: 3, outputs: 5, std: 0.02 });
    expect(specs.map(({ name, shape, decay }) => [name, shape, decay])).toEqual([['fc.weight', [3, 5], true], ['fc.bias', [5], false]]);
    const weights = drawnParameters(engine, specs);
    const x = normalTensor(engine, 'x', [4, 3]);
    const expected = affine(read(x), read(weights['fc.weight']!), read(weights['fc.bias']!));
    expectClose(read(linear(weights, 'fc', x)), expected);
    expectClose(read(linear(weights, 'fc', x, 'gelu-tanh')), expected.map(gelu));
    expectClose(read(linear(weights, 'fc', x, 'relu')), expected.map((value) => Math.max(0, value)));
  });

  it('names a missing parameter', () => {
    expect(() => linear({}, 'h.0.mlp.c_fc', normalTensor(engine, 'x', [1, 3]))).toThrow(/h\.0\.mlp\.c_fc\.weight/);
  });
});

describe('embedding', () => {
  it('takes the rows of the ids, in the compute dtype', () => {
    const weights = drawnParameters(engine, embeddingParameters('wte', 6, 2, 1));
    const table = read(weights['wte.weight']!);
    const ids = engine.tensor(Int32Array.of(5, 0, 5));
    const rows = embedding(weights, 'wte', ids, EVALUATION);
    expect(rows.dtype).toBe('float32');
    expect(read(rows)).toEqual([10, 11, 0, 1, 10, 11].map((index) => table[index]));
    expect(embedding(weights, 'wte', ids, { ...EVALUATION, computeDType: 'float16' }).dtype).toBe('float16');
  });
});

describe('normalize', () => {
  it('is (x − mean) / √(variance + 1e-5) · weight + bias by row', () => {
    const specs = layerNormParameters('ln', 4);
    expect(specs.map(({ init, decay }) => [init.kind, decay])).toEqual([['ones', false], ['zeros', false]]);
    const weights = drawnParameters(engine, specs);
    const [weight, bias] = [read(weights['ln.weight']!), read(weights['ln.bias']!)];
    const x = normalTensor(engine, 'x', [3, 4]);
    const expected = [0, 1, 2].flatMap((row) => {
      const values = read(x).slice(row * 4, row * 4 + 4);
      const mean = values.reduce((sum, value) => sum + value, 0) / 4;
      const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 4;
      return values.map((value, column) => ((value - mean) / Math.sqrt(variance + 1e-5)) * weight[column]! + bias[column]!);
    });
    expectClose(read(normalize(weights, 'ln', x)), expected);
  });
});

describe('dropoutAt', () => {
  const x = engine.ones([1000]).keep();

  it('is the identity outside of training, at rate 0 and without a key', () => {
    const training = trainingWith(engine, 1);
    expect(dropoutAt('site', x, 0.5, { ...training, training: false })).toBe(x);
    expect(dropoutAt('site', x, 0, training)).toBe(x);
    expect(dropoutAt('site', x, 0.5, { ...training, key: null })).toBe(x);
  });

  it('draws by key and site: the same again, another elsewhere', () => {
    const draw = (site: string, seed: number): number[] => read(dropoutAt(site, x, 0.25, trainingWith(engine, seed)));
    const values = draw('h.0.mlp', 1);
    expect(draw('h.0.mlp', 1)).toEqual(values);
    expect(draw('h.0.mlp', 2)).not.toEqual(values);
    expect(draw('h.1.mlp', 1)).not.toEqual(values);
    const zeros = values.filter((value) => value === 0).length;
    expect(zeros).toBeGreaterThan(200);
    expect(zeros).toBeLessThan(300);
    expectClose(values.filter((value) => value !== 0), new Array(1000 - zeros).fill(4 / 3), 1e-6);
  });
});

describe('createDenseFeedForward', () => {
  it('is W2·act(W1·x + b1) + b2 with GPT-2 names, no auxiliary loss and no trace', () => {
    const layer = createDenseFeedForward({ name: 'h.3.mlp', width: 3, hidden: 5, activation: 'gelu-tanh', std: 0.02, outputStd: 0.01 });
    expect(layer.parameters.map(({ name, shape, init }) => [name, shape, init.kind === 'normal' ? init.std : 0])).toEqual([
      ['h.3.mlp.c_fc.weight', [3, 5], 0.02], ['h.3.mlp.c_fc.bias', [5], 0], ['h.3.mlp.c_proj.weight', [5, 3], 0.01], ['h.3.mlp.c_proj.bias', [3], 0],
    ]);
    const weights = drawnParameters(engine, layer.parameters);
    const of = (name: string): number[] => read(weights[`h.3.mlp.${name}`]!);
    const x = normalTensor(engine, 'x', [4, 3]);
    const { output, auxLoss, trace } = layer.apply(weights, x, EVALUATION);
    const hidden = affine(read(x), of('c_fc.weight'), of('c_fc.bias')).map(gelu);
    expectClose(read(output), affine(hidden, of('c_proj.weight'), of('c_proj.bias')));
    expect([auxLoss, trace]).toEqual([null, null]);
  });
});

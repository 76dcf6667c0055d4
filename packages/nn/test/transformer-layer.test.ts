// One layer: where the norms and the residuals are, and what it hands on from its feed-forward.
import { afterAll, describe, expect, it } from 'vitest';
import { add, multiply, sum, type FeedForward } from '@xmoe/core';
import { createDenseFeedForward, createTransformerLayer, crossAttention, normalize, selfAttention, type TransformerLayerConfig } from '@xmoe/nn';
import { drawnParameters, EVALUATION, expectClose, float64, normalTensor, read, trainingWith } from './tiny.js';

const engine = float64();
afterAll(() => engine.dispose());

const attention = { width: 4, heads: 2, dropout: 0, std: 0.1, outputStd: 0.1 };
const shape = { batch: 2, length: 3 };
const x = normalTensor(engine, 'x', [6, 4]);
const memory = { x: normalTensor(engine, 'memory', [4, 4]), length: 2, mask: null };
const feedForward = createDenseFeedForward({ name: 'h.0.mlp', width: 4, hidden: 5, activation: 'relu', std: 0.1, outputStd: 0.1 });
const layerOf = (config: Partial<TransformerLayerConfig<unknown>>) =>
  createTransformerLayer<unknown>({ name: 'h.0', attention, feedForward, dropout: 0, norm: 'pre', causal: true, cross: true, ...config });
const weights = drawnParameters(engine, layerOf({}).parameters);

const self = (h: typeof x) => selfAttention(weights, 'h.0.attn', h, shape, attention, EVALUATION, { causal: true, keyMask: null });
const cross = (h: typeof x) => crossAttention(weights, 'h.0.crossattention', h, shape, memory.x, 2, null, attention, EVALUATION);
const dense = (h: typeof x) => feedForward.apply(weights, h, EVALUATION).output;
const norm = (name: string, h: typeof x) => normalize(weights, `h.0.${name}`, h);

describe('createTransformerLayer', () => {
  it('pre-norm: x + f(norm(x)) for self-attention, cross-attention and feed-forward', () => {
    let h = add(x, self(norm('ln_1', x)));
    h = add(h, cross(norm('ln_cross_attn', h)));
    h = add(h, dense(norm('ln_2', h)));
    expectClose(read(layerOf({}).apply(weights, { x, shape, keyMask: null, memory }, EVALUATION).x), read(h));
  });

  it('post-norm: norm(x + f(x))', () => {
    let h = norm('ln_1', add(x, self(x)));
    h = norm('ln_cross_attn', add(h, cross(h)));
    h = norm('ln_2', add(h, dense(h)));
    expectClose(read(layerOf({ norm: 'post' }).apply(weights, { x, shape, keyMask: null, memory }, EVALUATION).x), read(h));
  });

  it('without cross has neither its parameters nor its attention, and needs no memory', () => {
    const layer = layerOf({ cross: false });
    expect(layer.parameters.map(({ name }) => name).filter((name) => name.includes('cross'))).toEqual([]);
    const h = add(x, self(norm('ln_1', x)));
    expectClose(read(layer.apply(weights, { x, shape, keyMask: null }, EVALUATION).x), read(add(h, dense(norm('ln_2', h)))));
  });

  it('with cross refuses to run without memory', () => {
    expect(() => layerOf({}).apply(weights, { x, shape, keyMask: null }, EVALUATION)).toThrow('h.0 attends over an encoder');
  });

  it('takes any feed-forward: its output joins the residual, its auxiliary loss and trace come out', () => {
    const custom: FeedForward<string> = {
      parameters: [],
      apply: (_, h) => ({ output: multiply(h, 2), auxLoss: sum(h), trace: 'seen' }),
    };
    const result = createTransformerLayer<string>({ name: 'h.0', attention, feedForward: custom, dropout: 0, norm: 'pre', causal: true, cross: false })
      .apply(weights, { x, shape, keyMask: null }, EVALUATION);
    const h = add(x, self(norm('ln_1', x)));
    expectClose(read(result.x), read(add(h, multiply(norm('ln_2', h), 2))));
    expectClose(read(result.auxLoss!), read(sum(norm('ln_2', h))));
    expect(result.trace).toBe('seen');
  });

  it('drops each residual branch at a site of its own', () => {
    const run = (seed: number): number[] => read(layerOf({ dropout: 0.5 }).apply(weights, { x, shape, keyMask: null, memory }, trainingWith(engine, seed)).x);
    expect(run(1)).toEqual(run(1));
    expect(run(1)).not.toEqual(run(2));
  });
});

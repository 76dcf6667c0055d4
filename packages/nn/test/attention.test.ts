// The attention layers against one loop per sequence, head and query.
import { afterAll, describe, expect, it } from 'vitest';
import type { Tensor } from '@xmoe/core';
import { checkHeads, crossAttention, crossAttentionParameters, selfAttention, selfAttentionParameters, type AttentionConfig } from '@xmoe/nn';
import { drawnParameters, EVALUATION, expectClose, float64, normalTensor, read, trainingWith } from './tiny.js';

const engine = float64();
afterAll(() => engine.dispose());

const config: AttentionConfig = { width: 6, heads: 3, dropout: 0, std: 0.02, outputStd: 0.01 };
const [B, Tq, Tk, d] = [2, 4, 5, 6];

type Rows = number[][];
const rowsOf = (values: readonly number[], width: number): Rows =>
  Array.from({ length: values.length / width }, (_, row) => values.slice(row * width, row * width + width));

function project(weights: Record<string, Tensor>, name: string, rows: Rows): Rows {
  const bias = read(weights[`${name}.bias`]!);
  const weight = rowsOf(read(weights[`${name}.weight`]!), bias.length);
  return rows.map((row) => bias.map((start, column) => row.reduce((sum, value, inner) => sum + value * weight[inner]![column]!, start)));
}

/** Attention of one query over the keys it may see, one head at a time. */
function attendOne(q: number[], keys: Rows, values: Rows, heads: number): number[] {
  const size = q.length / heads;
  return q.map((_, column) => {
    const first = Math.floor(column / size) * size;
    const scores = keys.map((k) => {
      let sum = 0;
      for (let i = first; i < first + size; i++) sum += q[i]! * k[i]!;
      return Math.exp(sum / Math.sqrt(size));
    });
    const total = scores.reduce((sum, score) => sum + score, 0);
    return scores.reduce((sum, score, index) => sum + (score / total) * values[index]![column]!, 0);
  });
}

describe('selfAttention', () => {
  const specs = selfAttentionParameters('h.0.attn', config);
  const weights = drawnParameters(engine, specs);
  const x = normalTensor(engine, 'x', [B * Tq, d]);
  const mask = [true, true, false, true, true, true, true, false];

  it('has the fused projection of GPT-2', () => {
    expect(specs.map(({ name, shape }) => [name, shape])).toEqual([
      ['h.0.attn.c_attn.weight', [6, 18]], ['h.0.attn.c_attn.bias', [18]], ['h.0.attn.c_proj.weight', [6, 6]], ['h.0.attn.c_proj.bias', [6]],
    ]);
  });

  it.each([{ causal: true, masked: false }, { causal: false, masked: true }, { causal: true, masked: true }])('equals the loop with %o', ({ causal, masked }) => {
    const projected = project(weights, 'h.0.attn.c_attn', rowsOf(read(x), d));
    const mixed = projected.map((row, index) => {
      const sequence = Math.floor(index / Tq);
      const seen = projected.filter((_, other) =>
        Math.floor(other / Tq) === sequence && (!causal || other <= index) && (!masked || mask[other]));
      return attendOne(row.slice(0, d), seen.map((key) => key.slice(d, 2 * d)), seen.map((key) => key.slice(2 * d)), config.heads);
    });
    const keyMask = masked ? engine.tensor(mask, [B, Tq]) : null;
    const output = selfAttention(weights, 'h.0.attn', x, { batch: B, length: Tq }, config, EVALUATION, { causal, keyMask });
    expectClose(read(output), project(weights, 'h.0.attn.c_proj', mixed).flat());
  });

  it('drops attention probabilities in training only', () => {
    const run = (training: boolean): number[] =>
      read(selfAttention(weights, 'h.0.attn', x, { batch: B, length: Tq }, { ...config, dropout: 0.5 }, { ...trainingWith(engine, 4), training }, { causal: true, keyMask: null }));
    expect(run(true)).toEqual(run(true));
    expect(run(true)).not.toEqual(run(false));
    expectClose(run(false), read(selfAttention(weights, 'h.0.attn', x, { batch: B, length: Tq }, config, EVALUATION, { causal: true, keyMask: null })));
  });
});

describe('crossAttention', () => {
  it('equals the loop: queries from x, keys and values from the unmasked memory', () => {
    const specs = crossAttentionParameters('cross', config);
    expect(specs.map(({ name, shape }) => [name, shape])).toEqual([
      ['cross.q_attn.weight', [6, 6]], ['cross.q_attn.bias', [6]], ['cross.c_attn.weight', [6, 12]], ['cross.c_attn.bias', [12]],
      ['cross.c_proj.weight', [6, 6]], ['cross.c_proj.bias', [6]],
    ]);
    const weights = drawnParameters(engine, specs);
    const x = normalTensor(engine, 'x', [B * Tq, d]);
    const memory = normalTensor(engine, 'memory', [B * Tk, d]);
    const mask = [true, true, true, false, false, true, false, true, true, true];
    const output = crossAttention(weights, 'cross', x, { batch: B, length: Tq }, memory, Tk, engine.tensor(mask, [B, Tk]), config, EVALUATION);
    const keys = project(weights, 'cross.c_attn', rowsOf(read(memory), d));
    const mixed = project(weights, 'cross.q_attn', rowsOf(read(x), d)).map((q, index) => {
      const seen = keys.filter((_, other) => Math.floor(other / Tk) === Math.floor(index / Tq) && mask[other]);
      return attendOne(q, seen.map((key) => key.slice(0, d)), seen.map((key) => key.slice(d)), config.heads);
    });
    expectClose(read(output), project(weights, 'cross.c_proj', mixed).flat());
  });
});

describe('checkHeads', () => {
  it.each([0, 4, 1.5])('refuses %d heads of width 6', (heads) => {
    expect(() => checkHeads('languageModel', { width: 6, heads })).toThrow(`languageModel: width 6 is not a multiple of heads ${heads}`);
  });
});

// The whole language model: names and sizes, gradients, causality, tied embeddings, dropout, checkpointing, losses.
import { afterAll, describe, expect, it } from 'vitest';
import { createCpuBackend } from '@xmoe/backend-cpu';
import { countParameters, createEngine, linearCrossEntropy, sum, type ForwardContext, type Tensor } from '@xmoe/core';
import { createDenseFeedForward, createLanguageModel, type LanguageModel } from '@xmoe/nn';
import { checkGradients } from '@xmoe/testing';
import { drawnParameters, EVALUATION, expectClose, float64, INPUTS, lossAndGradients, read, TARGETS, tinyBatch, tinyModel, trainingWith } from './tiny.js';

const engine = float64();
afterAll(() => engine.dispose());

const KINDS = [['dense', undefined], ['grouped experts', 'grouped'], ['padded experts', 'padded'], ['budget of claims', 'budget']] as const;
const batch = tinyBatch(engine);

/** Logits of every position, [B·T] rows. */
function allLogits(model: LanguageModel, parameters: Record<string, Tensor>, inputs: readonly number[], context: ForwardContext = EVALUATION): number[][] {
  const { shape, inputs: ids } = tinyBatch(engine, inputs);
  const byPosition = Array.from({ length: shape.length }, (_, position) => read(model.logitsAt(parameters, ids, shape, position, context)));
  return Array.from({ length: inputs.length }, (_, row) => {
    const [sequence, position] = [Math.floor(row / shape.length), row % shape.length];
    return byPosition[position]!.slice(sequence * 7, sequence * 7 + 7);
  });
}

describe('parameters', () => {
  it('follow the names and shapes of GPT-2', () => {
    const block = (index: number) => [
      [`h.${index}.ln_1.weight`, [4]], [`h.${index}.ln_1.bias`, [4]],
      [`h.${index}.attn.c_attn.weight`, [4, 12]], [`h.${index}.attn.c_attn.bias`, [12]],
      [`h.${index}.attn.c_proj.weight`, [4, 4]], [`h.${index}.attn.c_proj.bias`, [4]],
      [`h.${index}.ln_2.weight`, [4]], [`h.${index}.ln_2.bias`, [4]],
      [`h.${index}.mlp.c_fc.weight`, [4, 6]], [`h.${index}.mlp.c_fc.bias`, [6]],
      [`h.${index}.mlp.c_proj.weight`, [6, 4]], [`h.${index}.mlp.c_proj.bias`, [4]],
    ];
    const specs = tinyModel().parameters;
    expect(specs.map(({ name, shape }) => [name, shape])).toEqual([
      ['wte.weight', [7, 4]], ['wpe.weight', [5, 4]], ...block(0), ...block(1), ['ln_f.weight', [4]], ['ln_f.bias', [4]],
    ]);
    // Weight decay on matrices only; projections into the residual stream start smaller by √(2·layers).
    expect(specs.filter(({ decay, shape }) => decay !== (shape.length > 1))).toEqual([]);
    const std = (name: string): number => {
      const { init } = specs.find((spec) => spec.name === name)!;
      return init.kind === 'normal' ? init.std : Number.NaN;
    };
    expect(['wte.weight', 'h.0.attn.c_attn.weight', 'h.1.mlp.c_fc.weight'].map(std)).toEqual([0.4, 0.4, 0.4]);
    expect(['h.0.attn.c_proj.weight', 'h.1.mlp.c_proj.weight'].map(std)).toEqual([0.2, 0.2]);
  });

  it('are 124,439,808 in the smallest GPT-2', () => {
    const model = createLanguageModel({
      vocabularySize: 50257, contextLength: 1024, width: 768, heads: 12, layers: 12, dropout: 0.1, initStd: 0.02,
      feedForward: ({ name, std, outputStd }) => createDenseFeedForward({ name: `${name}.mlp`, width: 768, hidden: 3072, activation: 'gelu-tanh', std, outputStd }),
    });
    expect(countParameters(model.parameters)).toBe(124_439_808);
  });

  it('refuses heads that do not divide the width, and sequences beyond the context', () => {
    expect(() => tinyModel({ heads: 3 })).toThrow('languageModel: width 4 is not a multiple of heads 3');
    const model = tinyModel();
    const { inputs, shape } = tinyBatch(engine, [1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5]);
    expect(() => model.hidden(drawnParameters(engine, model.parameters), inputs, shape, EVALUATION)).toThrow('sequences of 6 tokens exceed the context of 5');
  });
});

describe.each(KINDS)('%s', (_, dispatch) => {
  const model = tinyModel({ dispatch, dropout: 0.2 });
  const parameters = drawnParameters(engine, model.parameters);

  it('the gradient of every parameter equals central differences, dropout and auxiliary losses included', async () => {
    const context = trainingWith(engine, 5);
    const inputs = model.parameters.map(({ name, shape }) => ({ shape, data: read(parameters[name]!) }));
    const named = (tensors: readonly Tensor[]) => Object.fromEntries(model.parameters.map(({ name }, index) => [name, tensors[index]!]));
    expect(await checkGradients(engine, (tensors) => model.loss(named(tensors), batch, context).loss, inputs)).toEqual([]);
  });

  it('checkpointing gives the same loss and gradients', () => {
    const context = trainingWith(engine, 6);
    const again = tinyModel({ dispatch, dropout: 0.2, checkpointing: true });
    const run = (of: typeof model) => lossAndGradients(engine, (weights) => of.loss(weights, batch, { ...context, collect: 'statistics' }), parameters);
    const [plain, recomputed] = [run(model), run(again)];
    expect(recomputed.loss).toBe(plain.loss);
    expect(recomputed.gradients).toEqual(plain.gradients);
  });

  it('token losses are −log softmax of the logits, and the loss is their mean over the targets', () => {
    const losses = read(model.tokenLosses(parameters, batch, EVALUATION).losses);
    const expected = allLogits(model, parameters, INPUTS).map((row, index) => {
      const target = TARGETS[index]!;
      return target < 0 ? 0 : Math.log(row.reduce((total, value) => total + Math.exp(value), 0)) - row[target]!;
    });
    expectClose(losses, expected);
    const { loss, crossEntropy, auxLoss } = model.loss(parameters, batch, EVALUATION);
    expectClose(read(crossEntropy), [expected.reduce((total, value) => total + value, 0) / 7]);
    expect(auxLoss).toBeNull(); // computed in training only
    expectClose(read(loss), read(crossEntropy));
  });
});

describe('causality', () => {
  it.each([['dense', undefined], ['grouped experts', 'grouped']] as const)('%s: a later token never changes earlier logits', (_, dispatch) => {
    const model = tinyModel({ dispatch });
    const parameters = drawnParameters(engine, model.parameters);
    const before = allLogits(model, parameters, INPUTS);
    for (const changed of [1, 2, 3]) {
      const after = allLogits(model, parameters, INPUTS.map((token, index) => (index === changed ? (token + 3) % 7 : token)));
      before.forEach((row, index) => {
        if (index < changed || index >= 4) expect(after[index]).toEqual(row); // the other sequence is not touched either
        else expect(after[index]).not.toEqual(row);
      });
    }
  });
});

describe('loss', () => {
  const model = tinyModel({ dispatch: 'grouped' });
  const parameters = drawnParameters(engine, model.parameters);
  const context = trainingWith(engine, 1);

  it('the tied embedding gets the gradient of the look-up and that of the projection', () => {
    const tied = lossAndGradients(engine, (weights) => ({ loss: model.loss(weights, batch, context).crossEntropy }), parameters).gradients['wte.weight']!;
    const untied = lossAndGradients(engine, ({ projection, ...weights }) => {
      const { x } = model.hidden(weights, batch.inputs, batch.shape, context);
      return { loss: sum(linearCrossEntropy(x, projection!, batch.targets)) };
    }, { ...parameters, projection: engine.tensor(read(parameters['wte.weight']!), [7, 4]) }).gradients;
    expectClose(tied, untied['wte.weight']!.map((value, index) => (value + untied.projection![index]!) / 7));
    expect(Math.max(...untied['wte.weight']!.map(Math.abs))).toBeGreaterThan(1e-3);
    expect(Math.max(...untied.projection!.map(Math.abs))).toBeGreaterThan(1e-3);
  });

  it('adds the auxiliary loss, scaled; the normalizer divides the cross-entropy alone', () => {
    const of = (options: Parameters<typeof model.loss>[3]) => {
      const { loss, crossEntropy, auxLoss, traces } = model.loss(parameters, batch, { ...context, collect: 'statistics' }, options);
      expect(traces.map(({ layer }) => layer)).toEqual(['h.1']);
      return [loss, crossEntropy, auxLoss!].map((tensor) => read(tensor)[0]!);
    };
    const [loss, crossEntropy, auxLoss] = of({});
    expect(auxLoss).toBeGreaterThan(0);
    expectClose([loss!], [crossEntropy! + auxLoss!]);
    expectClose(of({ normalizer: engine.scalar(14), auxScale: 0.25 }), [crossEntropy! / 2 + auxLoss! / 4, crossEntropy! / 2, auxLoss! / 4]);
  });

  it('of a batch without targets is 0, with gradients of 0', () => {
    const none = tinyBatch(engine, INPUTS, INPUTS.map(() => -1));
    const dense = tinyModel();
    const { loss, gradients } = lossAndGradients(engine, (weights) => dense.loss(weights, none, context), drawnParameters(engine, dense.parameters));
    expect(loss).toBe(0);
    expect(Object.values(gradients).flat().every((value) => value === 0)).toBe(true);
  });
});

describe('dropout', () => {
  const model = tinyModel({ dropout: 0.3 });
  const parameters = drawnParameters(engine, model.parameters);
  const lossWith = (context: ForwardContext): number => read(model.loss(parameters, batch, context).loss)[0]!;

  it('is fixed by the key and off in evaluation', () => {
    expect(lossWith(trainingWith(engine, 1))).toBe(lossWith(trainingWith(engine, 1)));
    expect(lossWith(trainingWith(engine, 1))).not.toBe(lossWith(trainingWith(engine, 2)));
    const plain = read(tinyModel().loss(parameters, batch, EVALUATION).loss)[0]!;
    expect(lossWith({ ...trainingWith(engine, 1), training: false })).toBe(plain);
    expect(lossWith({ ...trainingWith(engine, 1), key: null })).toBe(plain);
    expect(lossWith(trainingWith(engine, 1))).not.toBe(plain);
  });
});

describe('memory', () => {
  const small = createEngine(createCpuBackend());
  afterAll(() => small.dispose());
  const many = Array.from({ length: 40 }, (_, index) => (index * 5) % 7);

  it('checkpointing lowers the peak of training', () => {
    const peak = (checkpointing: boolean): number => {
      const model = tinyModel({ layers: 6, contextLength: 20, checkpointing });
      const parameters = drawnParameters(small, model.parameters);
      const wide = tinyBatch(small, many, many);
      const before = small.memory().bytes;
      const { peakBytes } = lossAndGradients(small, (weights) => model.loss(weights, wide, trainingWith(small, 1)), parameters);
      return peakBytes - before;
    };
    expect(peak(true)).toBeLessThan(0.6 * peak(false));
  });

  it('leaves nothing behind, and an evaluation holds one layer at a time', () => {
    const peak = (layers: number): number => {
      const model = tinyModel({ layers, contextLength: 20 });
      const parameters = drawnParameters(small, model.parameters);
      const wide = tinyBatch(small, many, many);
      const before = small.memory();
      small.resetPeakMemory();
      small.scope(() => void model.tokenLosses(parameters, wide, EVALUATION));
      expect(small.memory().buffers).toBe(before.buffers);
      return small.memory().peakBytes - before.bytes;
    };
    expect(peak(8)).toBe(peak(2));
  });
});

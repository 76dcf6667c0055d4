// Gradient cases of the larger ops: products, normalisation, activations, attention, losses, expert combination.
import * as core from '@xmoe/core';
import type { Activation, Engine, Tensor } from '@xmoe/core';
import { apart, bool, gradientCase, int32, type CaseTable, type GradientCase } from './case.js';

const key = (engine: Engine): Tensor => engine.key([7, 11]);

function matmulCases(): GradientCase[] {
  const flip = (shape: readonly number[]): number[] => [...shape.slice(0, -2), shape[shape.length - 1]!, shape[shape.length - 2]!];
  const shapes: readonly (readonly [readonly number[], readonly number[]])[] = [
    [[2, 3], [3, 4]],
    [[2, 2, 3], [2, 3, 2]],
    [[2, 2, 3], [3, 2]], // one right-hand side for the batch
    [[2, 1, 2, 3], [2, 1, 3, 1]],
    [[1, 3], [3, 1]],
    [[1, 2, 3], [3, 2]],
    [[0, 3], [3, 2]],
    [[2, 3, 0], [0, 4]],
    [[2, 0, 3], [2, 3, 2]],
    [[0, 2, 3], [3, 2]],
  ];
  return shapes.flatMap(([a, b]) =>
    [0, 1, 2, 3].map((flags) => {
      const [transposeA, transposeB] = [(flags & 1) === 1, (flags & 2) === 2];
      const label = `[${a}] by [${b}]${transposeA ? ' A transposed' : ''}${transposeB ? ' B transposed' : ''}`;
      return gradientCase(label, ([x, y]) => core.matmul(x!, y!, { transposeA, transposeB }), transposeA ? flip(a) : a, transposeB ? flip(b) : b);
    }),
  );
}

function groupedCases(): GradientCase[] {
  const segments: readonly (readonly [string, readonly number[], number])[] = [
    ['full', [0, 2, 5], 5],
    ['an empty segment and rows after the last', [0, 2, 2, 4], 6],
    ['all empty', [0, 0, 0], 3],
    ['no rows', [0, 0], 0],
  ];
  return segments.flatMap(([label, offsets, rows]) =>
    [false, true].map((transposeW) => {
      const groups = offsets.length - 1;
      return gradientCase(
        `${label}${transposeW ? ', W transposed' : ''}`,
        ([x, w], engine) => core.groupedMatmul(x!, w!, int32(engine, offsets), { transposeW }),
        [rows, 3],
        transposeW ? [groups, 2, 3] : [groups, 3, 2],
      );
    }),
  );
}

function groupedLinearCases(): GradientCase[] {
  const segments: readonly (readonly [string, readonly number[], readonly number[]])[] = [
    ['full', [0, 2, 5], [3, 0, 0, 1, 2]],
    ['an empty segment, rows after the last, indices outside', [0, 2, 2, 4], [1, -1, 4, 0, 2, 1]],
    ['all empty', [0, 0, 0], [1, 0, 2]],
    ['no rows', [0, 0], []],
  ];
  return segments.flatMap(([label, offsets, rows]) =>
    [false, true].flatMap((transposeW) => {
      const groups = offsets.length - 1;
      const w = transposeW ? [groups, 2, 3] : [groups, 3, 2];
      const note = `${label}${transposeW ? ', W transposed' : ''}`;
      return [
        gradientCase(`${note}, gathered, bias, gelu`, ([x, weight, bias], engine) =>
          core.groupedLinear(x!, weight!, int32(engine, offsets), { rows: int32(engine, rows), bias: bias!, transposeW, activation: 'gelu-tanh' }), [4, 3], w, [groups, 2]),
        gradientCase(`${note}, bias`, ([x, weight, bias], engine) =>
          core.groupedLinear(x!, weight!, int32(engine, offsets), { bias: bias!, transposeW }), [rows.length, 3], w, [groups, 2]),
        gradientCase(`${note}, gelu`, ([x, weight], engine) =>
          core.groupedLinear(x!, weight!, int32(engine, offsets), { rows: int32(engine, rows), transposeW, activation: 'gelu-erf' }), [4, 3], w),
      ];
    }),
  );
}

function activationCases(): GradientCase[] {
  const activations: readonly Activation[] = ['none', 'relu', 'gelu-tanh', 'gelu-erf'];
  return activations.flatMap((activation) => [
    gradientCase(`${activation}, no bias`, ([x]) => core.biasActivation(x!, null, activation), apart(3, 2)),
    gradientCase(`${activation}, bias`, ([x, b]) => core.biasActivation(x!, b!, activation), apart(3, 2), { shape: [2], data: [0.013, -0.021] }),
    gradientCase(
      `${activation}, segments with a bias each`,
      ([x, b], engine) => core.biasActivation(x!, b!, activation, int32(engine, [0, 2, 2, 3])),
      apart(5, 2),
      { shape: [3, 2], data: [0.013, -0.021, 0.3, 0.4, -0.013, 0.021] },
    ),
    gradientCase(`${activation}, segments without a bias`, ([x], engine) => core.biasActivation(x!, null, activation, int32(engine, [0, 1, 2])), apart(4, 2)),
    gradientCase(`${activation}, no rows`, ([x, b]) => core.biasActivation(x!, b!, activation), [0, 2], [2]),
    gradientCase(`${activation}, no columns`, ([x, b]) => core.biasActivation(x!, b!, activation), [2, 0], [0]),
  ]);
}

function attentionCases(): GradientCase[] {
  const run = (label: string, [q, k]: readonly [readonly number[], readonly number[]], options: (engine: Engine) => core.AttentionArguments): GradientCase =>
    gradientCase(label, ([x, y, z], engine) => core.attention(x!, y!, z!, options(engine)), q, k, k);
  const self: readonly [readonly number[], readonly number[]] = [[4, 3, 2], [4, 3, 2]];
  const cross: readonly [readonly number[], readonly number[]] = [[2, 2, 3], [2, 4, 3]];
  return [
    run('all see all', self, () => ({ heads: 2 })),
    run('causal', self, () => ({ heads: 4, causal: true })),
    run('a scale', self, () => ({ heads: 1, scale: 0.3 })),
    run('padded', self, (engine) => ({ heads: 2, keyMask: bool(engine, [1, 1, 0, 1, 0, 1], [2, 3]) })),
    run('padded and causal, a query that sees nothing', self, (engine) => ({ heads: 2, causal: true, keyMask: bool(engine, [0, 1, 1, 1, 0, 0], [2, 3]) })),
    run('cross', cross, () => ({ heads: 1 })),
    run('cross, causal at the end', cross, () => ({ heads: 2, causal: true })),
    run('more queries than keys, causal', [[2, 4, 2], [2, 2, 2]], () => ({ heads: 1, causal: true })),
    run('dropout', self, (engine) => ({ heads: 2, causal: true, dropout: { key: key(engine), rate: 0.4, stream: 3 } })),
    run('dropout and padding', cross, (engine) => ({ heads: 1, keyMask: bool(engine, [1, 0, 1, 1, 1, 1, 1, 0], [2, 4]), dropout: { key: key(engine), rate: 0.5, stream: 1 } })),
    run('more than one block of queries', [[1, 35, 1], [1, 35, 1]], () => ({ heads: 1, causal: true })),
    run('no keys', [[1, 2, 2], [1, 0, 2]], () => ({ heads: 1 })),
    run('no queries', [[1, 0, 2], [1, 2, 2]], () => ({ heads: 1 })),
  ];
}

function lossCases(linear: boolean): GradientCase[] {
  const targets = [2, -1, 0, 4];
  const options: readonly (readonly [string, core.LinearCrossEntropyOptions])[] = [
    ['plain', {}],
    ['label smoothing', { labelSmoothing: 0.2 }],
    ...(linear ? ([['chunks of 2', { chunk: 2 }], ['chunks of 1, label smoothing', { chunk: 1, labelSmoothing: 0.1 }], ['a chunk of 4', { chunk: 4 }]] as const) : []),
  ];
  return options.map(([label, option]) =>
    linear
      ? gradientCase(label, ([h, w], engine) => core.linearCrossEntropy(h!, w!, int32(engine, targets), option), [4, 3], [5, 3])
      : gradientCase(label, ([logits], engine) => core.crossEntropy(logits!, int32(engine, targets), option), [4, 5]),
  );
}

export const NETWORK: CaseTable = {
  matmul: matmulCases(),
  matmulWeight: [
    gradientCase('[2,2,3] by [3,4]', ([x, weight]) => core.matmulWeight(x!, weight!), [2, 2, 3], [3, 4]),
    gradientCase('[5,3] by [4,3] transposed', ([x, weight]) => core.matmulWeight(x!, weight!, { transposeB: true }), [5, 3], [4, 3]),
    gradientCase('[0,3] by [3,4]', ([x, weight]) => core.matmulWeight(x!, weight!), [0, 3], [3, 4]),
  ],
  groupedMatmul: groupedCases(),
  groupedLinear: groupedLinearCases(),
  softmax: [[2, 3], [4], [2, 2, 2], [3, 1], [0, 3], [3, 0]].map((shape) => gradientCase(`[${shape}]`, ([x]) => core.softmax(x!), shape)),
  logSoftmax: [[2, 3], [4], [2, 2, 2], [3, 1], [0, 3]].map((shape) => gradientCase(`[${shape}]`, ([x]) => core.logSoftmax(x!), shape)),
  logSumExp: [[2, 3], [4], [2, 2, 2], [3, 1], [0, 3]].map((shape) => gradientCase(`[${shape}]`, ([x]) => core.logSumExp(x!), shape)),
  layerNorm: [[3, 4], [4], [2, 2, 4], [0, 4]].map((shape) =>
    gradientCase(`[${shape}]`, ([x, gamma, beta]) => core.layerNorm(x!, gamma!, beta!, { epsilon: 1e-3 }), shape, [4], [4]),
  ),
  biasActivation: activationCases(),
  gelu: [
    gradientCase('tanh', ([x]) => core.gelu(x!), [2, 3, 2]),
    gradientCase('erf', ([x]) => core.gelu(x!, 'erf'), []),
    gradientCase('nothing', ([x]) => core.gelu(x!), [0, 2]),
  ],
  dropout: [
    gradientCase('half', ([x], engine) => core.dropout(x!, key(engine), { rate: 0.5, stream: 5 }), [4, 5]),
    gradientCase('none', ([x], engine) => core.dropout(x!, key(engine), { rate: 0, stream: 5 }), [4]),
    gradientCase('nothing', ([x], engine) => core.dropout(x!, key(engine), { rate: 0.1, stream: 5 }), [0]),
  ],
  attention: attentionCases(),
  crossEntropy: lossCases(false),
  linearCrossEntropy: lossCases(true),
  combineExperts: [
    gradientCase(
      'a dropped claim and empty rows',
      ([rows, weights], engine) => core.combineExperts(rows!, weights!, int32(engine, [0, 3, -1, 1, 4, -1], [3, 2]), int32(engine, [0, 3, -1, 1, 4])),
      [5, 3],
      [3, 2],
    ),
    gradientCase('no rows', ([rows, weights], engine) => core.combineExperts(rows!, weights!, int32(engine, [-1, -1], [2, 1]), int32(engine, [])), [0, 2], [2, 1]),
    gradientCase('no choices', ([rows, weights], engine) => core.combineExperts(rows!, weights!, int32(engine, [], [2, 0]), int32(engine, [-1])), [1, 2], [2, 0]),
  ],
};

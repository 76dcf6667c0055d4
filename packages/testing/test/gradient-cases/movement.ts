// Gradient cases of ops that move elements: reshape, slices, gathers, sorting and the random ops (which have none).
import * as core from '@xmoe/core';
import type { Engine, Tensor } from '@xmoe/core';
import { apart, bool, gradientCase, int32, type CaseTable } from './case.js';

/** All tensors of a list in one, each multiplied by a different number. */
const joined = (parts: readonly Tensor[]): Tensor => core.concat(parts.map((part, index) => core.multiply(core.reshape(part, [-1]), index + 1)), 0);

const gather = (data: readonly number[], shape?: readonly number[]) => ([x]: readonly Tensor[], engine: Engine): Tensor =>
  core.gatherRows(x!, int32(engine, data, shape));

export const MOVEMENT: CaseTable = {
  reshape: [
    gradientCase('inferred', ([x]) => core.reshape(x!, [-1, 2]), [2, 3, 2]),
    gradientCase('to a scalar', ([x]) => core.reshape(x!, []), [1, 1]),
    gradientCase('nothing', ([x]) => core.reshape(x!, [5, 0]), [0, 3]),
  ],
  transpose: [
    gradientCase('last two', ([x]) => core.transpose(x!), [2, 3, 4]),
    gradientCase('a rotation', ([x]) => core.transpose(x!, [2, 0, 1]), [2, 3, 4]),
    gradientCase('of size 1 and 0', ([x]) => core.transpose(x!, [1, 2, 0]), [1, 0, 2]),
  ],
  slice: [
    gradientCase('inside', ([x]) => core.slice(x!, [1, 0, 1], [1, 2, 2]), [3, 2, 4]),
    gradientCase('nothing', ([x]) => core.slice(x!, [1, 1], [0, 2]), [3, 3]),
  ],
  pad: [
    gradientCase('all sides', ([x]) => core.pad(x!, [1, 0], [4, 5]), [2, 3]),
    gradientCase('none', ([x]) => core.pad(x!, [0, 0], [2, 3]), [2, 3]),
  ],
  broadcastTo: [
    gradientCase('new and size 1 axes', ([x]) => core.broadcastTo(x!, [2, 3, 4]), [3, 1]),
    gradientCase('a scalar', ([x]) => core.broadcastTo(x!, [2, 2]), []),
    gradientCase('to nothing', ([x]) => core.broadcastTo(x!, [0, 3]), [1, 3]),
  ],
  concat: [
    gradientCase('three, one empty', (parts) => core.concat(parts, 1), [2, 1], [2, 0], [2, 3]),
    gradientCase('the same tensor twice', ([x]) => core.concat([x!, x!], -1), [2, 2]),
  ],
  split: [
    gradientCase('all parts', ([x]) => joined(core.split(x!, [1, 0, 2], 1)), [2, 3]),
    gradientCase('one part used', ([x]) => core.square(core.split(x!, [1, 2], 0)[1]!), [3, 2]),
  ],
  gatherRows: [
    gradientCase('duplicates, -1 and beyond', gather([2, 0, -1, 2, 9]), [3, 2]),
    gradientCase('rows of rank 2, indices of rank 2', gather([1, 1, 0, -1], [2, 2]), [2, 2, 3]),
    gradientCase('rows of one number', gather([1, 0, 1]), [2]),
    gradientCase('no indices', gather([]), [2, 3]),
    gradientCase('rows of no columns', gather([0, 1]), [2, 0]),
    gradientCase('no rows', gather([0, -1]), [0, 2]),
    gradientCase('of a table that is read elsewhere too, with a gradient that another input has as well', ([x, other], engine) => {
      const rows = core.gatherRows(x!, int32(engine, [1, -1, 1, 7, 0]));
      return core.concat([rows, core.add(x!, other!)], 0);
    }, [3, 2], [3, 2]),
    gradientCase('of a table that is multiplied by, and read twice', ([x, y], engine) =>
      core.concat([core.gatherRows(x!, int32(engine, [2, 0])), core.gatherRows(x!, int32(engine, [1, 1])), core.matmul(y!, x!)], 0), [3, 2], [4, 3]),
  ],
  scatterAddRows: [
    gradientCase('duplicates, -1 and beyond', ([x], engine) => core.scatterAddRows(x!, int32(engine, [1, -1, 1, 7]), 3), [4, 2]),
    gradientCase('nothing', ([x], engine) => core.scatterAddRows(x!, int32(engine, []), 3), [0, 2]),
  ],
  takeAlongLast: [
    gradientCase('duplicates and -1', ([x], engine) => core.takeAlongLast(x!, int32(engine, [0, 0, -1, 2, 1, 5], [2, 3])), [2, 3]),
    gradientCase('none', ([x], engine) => core.takeAlongLast(x!, int32(engine, [], [2, 0])), [2, 3]),
  ],
  addAlongLast: [
    gradientCase('duplicates and -1', ([x], engine) => core.addAlongLast(x!, int32(engine, [0, 0, -1, 2, 1, 5], [2, 3]), 4), [2, 3]),
  ],
  topK: [
    gradientCase('the values', ([x]) => core.topK(x!, 2).values, apart(3, 4)),
    gradientCase('all of them', ([x]) => core.topK(x!, 3).values, apart(2, 3)),
    gradientCase('none of them', ([x]) => core.topK(x!, 0).values, apart(2, 3)),
    gradientCase('more than 16', ([x]) => core.topK(x!, 17).values, apart(1, 20)),
  ],
  thresholdSelect: [
    gradientCase('the values', ([x]) => core.thresholdSelect(core.softmax(x!), 0.7).values, apart(3, 4)),
    gradientCase('t in a tensor', ([x], engine) => core.thresholdSelect(core.softmax(x!), engine.tensor([0.7], [1])).values, apart(3, 4)),
    gradientCase('t = 1', ([x]) => core.thresholdSelect(core.softmax(x!), 1).values, apart(2, 3)),
    gradientCase('at most 2, masked', ([x], engine) => core.thresholdSelect(core.softmax(x!), 0.99, { choices: 2, mask: bool(engine, [1, 0, 1]) }).values, apart(3, 4)),
  ],
  dispatchClaims: 'no gradient',
  sortByKey: 'no gradient',
  bincount: 'no gradient',
  randomUniform: 'no gradient',
  randomNormal: 'no gradient',
  randomGumbel: 'no gradient',
  adamStep: 'no gradient',
  assign: 'no gradient',
  addRows: 'no gradient',
};

// Where the shards of parameters lie, and that the norm of gradients is made of whole entries in the order of the whole, whoever has them.
import type { ParameterSpec } from '@xmoe/core';
import type { Comm } from '@xmoe/distributed';
import { createCommTeam } from '@xmoe/testing';
import { expect, it } from 'vitest';
import { createGradientNorm } from '../../src/trainer/gradient-norm.js';
import { createShardOrder } from '../../src/trainer/shard-order.js';

const spec = (name: string, shape: number[], part?: ParameterSpec['part']): ParameterSpec => ({ name, shape, init: { kind: 'zeros' }, decay: false, ...(part ? { part } : {}) });
const specs = [spec('a', [3, 2]), spec('b', [1]), spec('c', [2, 1], { begin: 4, of: 8 })];
const values = Float32Array.from({ length: 9 }, (_, index) => index + 1);

it('shards lie one rank after another, in any order of ranks, and know their entries of the whole', () => {
  const order = createShardOrder(specs, 2);
  expect(order.lengths).toEqual([3, 6]); // entry 0 of a and of c; the others
  const packed = order.pack(values);
  expect([...packed]).toEqual([1, 2, 8, 3, 4, 5, 6, 7, 9]);
  expect(order.unpack(packed)).toEqual(values);
  expect(order.cut(0, packed.subarray(0, 3)).map(({ name, first, values: of }) => [name, first, ...of])).toEqual([['a', 0, 1, 2], ['c', 4, 8]]);
  expect(order.cut(1, packed.subarray(3)).map(({ name, first, values: of }) => [name, first, ...of])).toEqual([['a', 1, 3, 4, 5, 6], ['b', 0, 7], ['c', 5, 9]]);
  const turned = createShardOrder(specs, 2, [1, 0]);
  expect([[...turned.pack(values)], turned.lengths]).toEqual([[3, 4, 5, 6, 7, 9, 1, 2, 8], [6, 3]]);
});

it('the norm is of entries of all ranks, each in its place', async () => {
  const seen: number[][] = [];
  const listening = (comm: Comm): Comm => ({
    ...comm,
    async allReduce(all, operation) {
      await comm.allReduce(all, operation);
      seen.push([...all]);
    },
  });
  const whole = [spec('a', [3, 2]), spec('b', [1]), spec('c', [2, 1])];
  const order = createShardOrder(whole, 2);
  const packed = order.pack(values);
  const norms = await Promise.all(createCommTeam(2).map((comm) => {
    const norm = createGradientNorm(whole);
    for (const { name, values: of, first } of order.cut(comm.rank, comm.rank === 0 ? packed.subarray(0, 3) : packed.subarray(3))) norm.add(name, of, first);
    return norm.result(listening(comm), () => true);
  }));
  const entries = [1 + 4, 9 + 16, 25 + 36, 49, 64, 81];
  expect(seen).toEqual([entries, entries]);
  expect(norms).toEqual(new Array(2).fill(Math.fround(Math.sqrt(entries.reduce((sum, square) => sum + square)))));
});

// Arguments that types would have refused, as JavaScript and parsed JSON may hold them: only XMoEErrors come out.
import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { isXMoEError } from '@xmoe/core';
import * as moe from '@xmoe/moe';
import * as plain from '@xmoe/moe/reference';
import { routeThreshold } from '@xmoe/routers/reference';

const config = {
  name: 'm', width: 4, hidden: 4, experts: 2, activation: 'relu', router: { type: 'threshold', threshold: 0.5 }, dispatch: 'padded', capacityFactor: 1.5, minCapacity: 4,
  balanceCoefficient: 0.01, zCoefficient: 0, init: 'copy', initStd: 0.1, outputStd: 0.1, vocabularySize: 5, trackPositive: true,
};

const CALLS: Record<string, { call: (...args: never[]) => unknown; args: () => Record<string, unknown>[] }> = {
  createMoeFeedForward: { call: moe.createMoeFeedForward, args: () => [config] },
  capacityOf: { call: moe.capacityOf, args: () => [{ T: 5, N: 2, capacityFactor: 1.1, minCapacity: 4 }] },
  budgetOf: { call: moe.budgetOf, args: () => [{ T: 5, capacityFactor: 1.1 }] },
  denseFlops: { call: moe.denseFlops, args: () => [{ tokens: 1, width: 2, hidden: 3 }] },
  moeFlops: { call: moe.moeFlops, args: () => [{ tokens: 4, experts: 2, width: 2, hidden: 3, dispatch: 'padded', capacityFactor: 1.5, minCapacity: 1, kept: 3.5, gate: true, skipsEmptyRows: false }] },
  equalFlopsHidden: { call: moe.equalFlopsHidden, args: () => [{ capacityFactor: 2, hidden: 3 }] },
  splitDense: { call: moe.splitDense, args: () => [{ w1: [1, 2], b1: [1, 2], w2: [1, 2], b2: [1] }, { width: 1, hidden: 2, experts: 2 }] },
  'planDispatch on arrays': { call: (options: never) => plain.planDispatch(routeThreshold([[1, 2], [2, 1]], { threshold: 0.5 }), options), args: () => [{ dispatch: 'padded', capacityFactor: 1, minCapacity: 1 }] },
};

const ODD = [undefined, null, NaN, -1, 0, 0.5, 2, 1e15, 1e300, 1e-300, Infinity, -Infinity, 'a', '', true, [], {}, [1], { type: 'threshold', threshold: 2 }, { type: 'topk' }, { type: 'hash', map: 3 }, () => 1];

describe('arguments that types would refuse', () => {
  it.each(Object.keys(CALLS))('%s', (name) => {
    const { call, args } = CALLS[name];
    call(...(args() as never[])); // the call is good
    fc.assert(
      fc.property(fc.nat(1), fc.option(fc.nat(15)), fc.oneof(fc.constantFrom(...ODD), fc.anything({ withBigInt: false })), (position, field, junk) => {
        const given: unknown[] = args();
        const at = position % given.length;
        const own = given[at] as Record<string, unknown>;
        const keys = Object.keys(own);
        given[at] = field === null ? junk : { ...own, [keys[field % keys.length]]: junk };
        try {
          call(...(given as never[]));
        } catch (error) {
          expect(isXMoEError(error), (error as Error).stack).toBe(true);
        }
      }),
      { numRuns: 400, seed: Number(process.env.XMOE_FUZZ_SEED ?? 1) },
    );
  });

  it('floating-point operations of no size are refused, not NaN', () => {
    expect(() => moe.equalFlopsHidden({ capacityFactor: 2, hidden: NaN })).toThrow('hidden is NaN');
    const sizes = { tokens: 4, experts: 2, width: 2, hidden: 3, dispatch: 'grouped', capacityFactor: 1.5, kept: 3 } as const;
    for (const name of ['tokens', 'experts', 'capacityFactor', 'kept'] as const) expect(() => moe.moeFlops({ ...sizes, [name]: NaN })).toThrow(`${name} is NaN`);
  });

  it.each([
    [{ router: { type: 'threshold', threshold: 2 } }, /threshold is 2, outside 0 … 1/],
    [{ balanceCoefficient: Infinity }, /balanceCoefficient is Infinity, not a finite number/],
    [{ zCoefficient: NaN }, /zCoefficient is NaN/],
    [{ name: undefined }, /name is no text/],
  ])('a layer refuses %o', (part, message) => {
    expect(() => moe.createMoeFeedForward({ ...config, ...part } as never)).toThrow(message);
  });
});

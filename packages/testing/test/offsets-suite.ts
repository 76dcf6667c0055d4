// Losses and gradients of logits that share a large number, rows without a softmax, and targets that are no ids, as tests of any
// backend. Which backends is up to offsets.test.ts. Single kernels: the conformance cases.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  attention, createEngine, crossEntropy, exp, linearCrossEntropy, logSoftmax, logSumExp, multiply, softmax, sum, valueAndGrad,
  type Backend, type Engine, type Tensor,
} from '@xmoe/core';

/** Steps of 8, the spacing of floats at 1e8: with any of the offsets all logits are exact. */
const STEPS = [[0, -1, -2, 0, -20], [-3, 0, 0, -1, 0], [-1, -1, -1, -1, -1]];
const TARGETS = [1, 3, 4];
const OFFSETS = [1e4, 1e6, 1e8];
const [R, V] = [STEPS.length, STEPS[0]!.length];

const logitsAt = (offset: number): number[] => STEPS.flat().map((steps) => offset + 8 * steps);
const numbers = async (tensor: Tensor): Promise<number[]> => Array.from(await tensor.data());
const targetsOf = (engine: Engine, targets: readonly number[]): Tensor => engine.tensor(Int32Array.from(targets));

/** Loss and gradient of one row in float64. */
function closedForm(row: readonly number[], target: number, smoothing: number): { loss: number; gradient: number[] } {
  const peak = row.reduce((most, value) => Math.max(most, value), -Infinity);
  const total = row.reduce((partial, value) => partial + Math.exp(value - peak), 0);
  const weights = row.map((_, column) => (column === target ? 1 - smoothing : 0) + smoothing / row.length);
  return {
    loss: row.reduce((loss, value, column) => loss + weights[column]! * (Math.log(total) - (value - peak)), 0),
    gradient: row.map((value, column) => Math.exp(value - peak) / total - weights[column]!),
  };
}

/** Largest |a − b| / (1 + |b|). */
function distance(a: readonly number[], b: readonly number[]): number {
  return b.reduce((worst, value, index) => Math.max(worst, Math.abs(a[index]! - value) / (1 + Math.abs(value))), 0);
}

interface Derivative {
  readonly loss: number[];
  readonly gradient: number[];
}

async function whole(engine: Engine, logits: readonly number[], targets: readonly number[], labelSmoothing: number): Promise<Derivative> {
  const { aux, gradients } = valueAndGrad(engine, (x: Tensor) => {
    const loss = crossEntropy(x, targetsOf(engine, targets), { labelSmoothing });
    return { loss: sum(loss), aux: loss };
  }, engine.tensor([...logits], [targets.length, logits.length / targets.length]));
  return { loss: await numbers(aux), gradient: await numbers(gradients) };
}

/** Rows h · columns w with logits offset + 8·steps: h is (1, one of 1, 0, 0 …), w (offset, steps of each row). */
async function chunked(engine: Engine, offset: number, chunk: number, labelSmoothing: number): Promise<Derivative> {
  const h = STEPS.flatMap((_, row) => [1, ...STEPS.map((__, other) => (other === row ? 8 : 0))]);
  const w = STEPS[0]!.flatMap((_, column) => [offset, ...STEPS.map((row) => row[column]!)]);
  const { aux, gradients } = valueAndGrad(engine, ({ rows, columns }: { rows: Tensor; columns: Tensor }) => {
    const loss = linearCrossEntropy(rows, columns, targetsOf(engine, TARGETS), { labelSmoothing, chunk });
    return { loss: sum(loss), aux: loss };
  }, { rows: engine.tensor(h, [R, R + 1]), columns: engine.tensor(w, [V, R + 1]) });
  // The gradient of w's part for a row is 8 times that of the row's logits.
  const dw = await numbers(gradients.columns);
  const gradient = STEPS.flatMap((_, row) => STEPS[0]!.map((__, column) => dw[column * (R + 1) + 1 + row]! / 8));
  return { loss: await numbers(aux), gradient };
}

export function describeOffsets(name: string, create: () => Backend | Promise<Backend>): void {
  describe(`losses on ${name}`, () => {
    let engine: Engine;
    beforeAll(async () => void (engine = createEngine(await create())));
    afterAll(() => engine.dispose());

    describe.each([0, 0.1])('with smoothing %f', (smoothing) => {
      const wanted = STEPS.map((steps, row) => closedForm(steps.map((step) => 8 * step), TARGETS[row]!, smoothing));
      const loss = wanted.map((row) => row.loss);
      const gradient = wanted.flatMap((row) => row.gradient);

      it('of logits that share a number are, to the bit, those of the logits without it', async () => {
        const plain = await whole(engine, logitsAt(0), TARGETS, smoothing);
        expect(distance(plain.loss, loss)).toBeLessThan(1e-6);
        expect(distance(plain.gradient, gradient)).toBeLessThan(1e-6);
        for (const offset of OFFSETS) expect(await whole(engine, logitsAt(offset), TARGETS, smoothing), `at ${offset}`).toEqual(plain);
      });

      it.each([1, 2, 3, V])('in chunks of %i are within 1e-6 of float64', async (chunk) => {
        for (const offset of [0, ...OFFSETS]) {
          const found = await chunked(engine, offset, chunk, smoothing);
          expect(distance(found.loss, loss), `loss at ${offset}`).toBeLessThan(1e-6);
          expect(distance(found.gradient, gradient), `gradient at ${offset}`).toBeLessThan(1e-6);
        }
      });
    });

    it('logSoftmax, and the gradients of it and of logSumExp, do not see what all logits share', async () => {
      const results = async (offset: number): Promise<number[][]> => {
        const x = engine.tensor(logitsAt(offset), [R, V]);
        const weights = engine.tensor(Float32Array.from({ length: R * V }, (_, i) => (i % 7) / 8), [R, V]);
        const slope = valueAndGrad(engine, (given: Tensor) => sum(multiply(logSoftmax(given), weights)), x);
        const share = valueAndGrad(engine, (given: Tensor) => sum(logSumExp(given)), x);
        return Promise.all([logSoftmax(x), slope.gradients, share.gradients].map(numbers));
      };
      const plain = await results(0);
      const shares = STEPS.flatMap((steps, row) => closedForm(steps.map((step) => 8 * step), TARGETS[row]!, 0).gradient.map((g, column) => g + (column === TARGETS[row] ? 1 : 0)));
      expect(distance(plain[2]!, shares)).toBeLessThan(1e-6);
      for (const offset of OFFSETS) expect(await results(offset), `at ${offset}`).toEqual(plain);
    });

    // Heads whose scale is no power of two: the rounding of scores must be the same wherever they are computed.
    it.each([1, 4, 24, 64, 128, 200])('attention with equal keys in heads of %i takes their mean, with its gradient, at scores of millions', async (D) => {
      const keys = 5;
      const ramp = (length: number, from: number): number[] => Array.from({ length }, (_, i) => from + ((i * 7) % 11) / 13);
      const key = ramp(D, 900);
      const q = engine.tensor(Array.from({ length: 3 }, () => ramp(D, 1000)).flat(), [1, 3, D]);
      const k = engine.tensor(Array.from({ length: keys }, () => key).flat(), [1, keys, D]);
      const v = engine.tensor(Array.from({ length: keys * D }, (_, i) => Math.floor(i / D)), [1, keys, D]);
      const { aux, gradients } = valueAndGrad(engine, (values: Tensor) => {
        const out = attention(q, k, values, { heads: 1 });
        return { loss: sum(out), aux: out };
      }, v);
      expect(distance(await numbers(aux), new Array(3 * D).fill(2))).toBeLessThan(1e-6);
      expect(distance(await numbers(gradients), new Array(keys * D).fill(3 / keys))).toBeLessThan(1e-6);
      const slope = valueAndGrad(engine, (given: Tensor) => sum(attention(q, given, v, { heads: 1 })), k);
      // Each score has a slope of (j − 2) / 5 · D for a query: what it is times q, over √D.
      const row = ramp(D, 1000);
      const dk = Array.from({ length: keys * D }, (_, i) => (3 * D * (Math.floor(i / D) - 2) * row[i % D]!) / (keys * Math.sqrt(D)));
      expect(distance(await numbers(slope.gradients), dk)).toBeLessThan(1e-5);
    });

    it('rows with infinities and NaN: softmax, logSoftmax and logSumExp', async () => {
      const rows = [[-Infinity, -Infinity, -Infinity], [-Infinity, 0, 0], [Infinity, 0, 0], [NaN, 0, Infinity], [3e38, -3e38, -Infinity], [NaN, -Infinity, -Infinity]];
      const x = engine.tensor(rows.flat(), [rows.length, 3]);
      const [none, nan, log2] = [[-Infinity, -Infinity, -Infinity], [NaN, NaN, NaN], Math.fround(Math.log(2))];
      expect(await numbers(softmax(x))).toEqual([0, 0, 0, 0, 0.5, 0.5, ...nan, ...nan, 1, 0, 0, ...nan]);
      const logs = await numbers(logSoftmax(x));
      expect([logs.slice(0, 3), logs.slice(6, 12), logs.slice(15)]).toEqual([none, [...nan, ...nan], nan]);
      expect(logs[3]).toBe(-Infinity);
      expect(distance(logs.slice(4, 6), [-log2, -log2])).toBeLessThan(1e-6);
      expect(logs[12]).toBe(0);
      const sums = await numbers(logSumExp(x));
      expect([sums[0], sums[2], sums[3], sums[4], sums[5]]).toEqual([-Infinity, Infinity, NaN, Math.fround(3e38), NaN]);
      expect(sums[1]).toBeCloseTo(log2, 6);
      const { gradients } = valueAndGrad(engine, (given: Tensor) => sum(exp(multiply(logSumExp(given), 0))), engine.tensor(rows[1]!, [1, 3]));
      expect(await numbers(gradients)).toEqual([0, 0, 0]);
    });

    it('the losses of rows with infinities and NaN', async () => {
      const rows = [[-Infinity, 0, 0], [-Infinity, 0, 0], [-Infinity, -Infinity, -Infinity], [Infinity, 0, 0], [0, NaN, 0], [NaN, Infinity, 0]];
      const { loss, gradient } = await whole(engine, rows.flat(), [1, 0, 1, 1, 0, -1], 0);
      expect(loss[0]).toBeCloseTo(Math.log(2), 6);
      expect(loss.slice(1)).toEqual([Infinity, NaN, NaN, NaN, 0]);
      expect(distance(gradient.slice(0, 6), [0, -0.5, 0.5, -1, 0.5, 0.5])).toBeLessThan(1e-6);
      expect(gradient.slice(6)).toEqual([...new Array(9).fill(NaN), 0, 0, 0]);
    });

    it('chunks of −∞ before the first finite logit add nothing', async () => {
      for (const chunk of [1, 2, 5]) {
        const run = valueAndGrad(engine, (w: Tensor) =>
          sum(linearCrossEntropy(engine.tensor([1e30], [1, 1]), w, targetsOf(engine, [4]), { chunk })), engine.tensor([-1e30, -1e30, -1e30, -1e30, 1], [5, 1]));
        expect(await run.loss.item(), `chunk ${chunk}`).toBe(0);
        expect(await numbers(run.gradients)).toEqual([0, 0, 0, 0, 0]);
      }
    });

    it.each([undefined, 2])('rows without a target do not count, whatever they hold, in chunks of %o', async (chunk) => {
      const w = [0.5, -1, 2, 0.25, 1, 1, -0.5, 3];
      const run = async (rows: readonly number[], targets: readonly number[]): Promise<number[][]> => {
        const { aux, gradients } = valueAndGrad(engine, (given: { h: Tensor; w: Tensor }) => {
          const loss = linearCrossEntropy(given.h, given.w, targetsOf(engine, targets), { ...(chunk && { chunk }) });
          return { loss: sum(loss), aux: loss };
        }, { h: engine.tensor([...rows], [targets.length, 2]), w: engine.tensor(w, [4, 2]) });
        return Promise.all([aux, gradients.h, gradients.w].map(numbers));
      };
      const [loss, dh, dw] = await run([1, 2, NaN, Infinity, -1, 3], [1, -1, 3]);
      const [wantedLoss, wantedDh, wantedDw] = await run([1, 2, -1, 3], [1, 3]);
      expect(loss).toEqual([wantedLoss![0], 0, wantedLoss![1]]);
      expect(dh).toEqual([...wantedDh!.slice(0, 2), 0, 0, ...wantedDh!.slice(2)]);
      expect(distance(dw!, wantedDw!)).toBeLessThan(1e-6);
    });

    it('a target beyond the vocabulary makes loss and gradient of its row NaN, and no other', async () => {
      const { loss, gradient } = await whole(engine, [1, 2, 3, 1, 2, 3, 1, 2, 3], [3, 2, 2 ** 30], 0);
      expect(loss.map(Number.isNaN)).toEqual([true, false, true]);
      expect(gradient.map(Number.isNaN)).toEqual([true, true, true, false, false, false, true, true, true]);
      const inChunks = linearCrossEntropy(engine.tensor([1, 2], [1, 2]), engine.tensor([1, 0, 0, 1, 1, 1], [3, 2]), targetsOf(engine, [3]), { chunk: 2 });
      expect(await numbers(inChunks)).toEqual([NaN]);
    });
  });
}

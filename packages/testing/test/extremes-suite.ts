// Ends of ranges through routers, layer, optimiser and ops, as tests of any backend: padding that holds NaN, thresholds of many experts,
// β near 1, base 0, large counts in half precision. Single kernels are held to theirs by the conformance cases.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  add, cast, createEngine, initializeParameters, layerNorm, max, mean, multiply, power, randomKey, square, sum, valueAndGrad,
  type Backend, type Engine, type ForwardContext, type ParameterSpec, type Tensor,
} from '@xmoe/core';
import { createMoeFeedForward, type DispatchPath } from '@xmoe/moe';
import { createAdamW } from '@xmoe/nn';
import { balanceLoss, createThresholdRouter, gateProbabilities, zLoss } from '@xmoe/routers';
import type { RouterConfig } from '@xmoe/routers/by-name';

const ROUTERS: readonly RouterConfig[] = [
  { type: 'threshold', threshold: 0.6 }, { type: 'threshold', threshold: 0.6, renormalize: true }, { type: 'topk', k: 2 },
  { type: 'topk', k: 2, renormalize: true }, { type: 'switch' }, { type: 'base' }, { type: 'hash', vocabularySize: 7 },
];
const PATHS: readonly DispatchPath[] = ['padded', 'grouped', 'budget'];
const [WIDTH, TOKENS] = [8, 12];
const MASK = Array.from({ length: TOKENS }, (_, token) => token % 4 !== 1);
const ROWS = MASK.map((_, token) => Array.from({ length: WIDTH }, (__, i) => Math.sin((token * WIDTH + i) * 1.7)));

type Numbers = Record<string, number[]>;
type Tensors = Record<string, Tensor>;

async function numbersOf(tensors: Tensors): Promise<Numbers> {
  const entries = await Promise.all(Object.entries(tensors).map(async ([name, tensor]) => [name, Array.from(await tensor.data())] as const));
  for (const tensor of Object.values(tensors)) tensor.dispose();
  return Object.fromEntries(entries);
}

interface Group {
  readonly rows: readonly (readonly number[])[];
  readonly ids: readonly number[];
  readonly mask: readonly boolean[] | null;
}

const onlyReal = <Row>(rows: readonly Row[]): Row[] => rows.filter((_, token) => MASK[token]);
const IDS = MASK.map((_, token) => (token * 3) % 7);
const ABSENT: Group = { rows: onlyReal(ROWS), ids: onlyReal(IDS), mask: null };
/** The padding rows hold multiples of `fill`. */
const maskedGroup = (fill: number): Group => ({ rows: ROWS.map((row, token) => (MASK[token] ? row : row.map((value) => value * fill))), ids: IDS, mask: MASK });

/** The loss and all gradients of a layer; that of x in real rows only. */
async function layerDerivatives(engine: Engine, router: RouterConfig, dispatch: DispatchPath, { rows, ids, mask }: Group): Promise<Numbers> {
  const layer = createMoeFeedForward({
    name: 'm', width: WIDTH, hidden: 6, experts: 4, initStd: 0.3, router, dispatch, capacityFactor: 8, zCoefficient: 0.1, balanceCoefficient: 0.1,
  });
  const results = engine.scope(() => {
    const context: ForwardContext = {
      training: engine.backend.readSync !== undefined, // BASE trains on the host
      key: null,
      computeDType: 'float32',
      collect: 'statistics', // the losses in evaluation too
      mask: mask && engine.tensor([...mask]),
      tokenIds: engine.tensor(Int32Array.from(ids)),
    };
    const parameters: Tensors = { ...initializeParameters(engine, layer.parameters, randomKey(3)), x: engine.tensor(rows.flat(), [rows.length, WIDTH]) };
    const { loss, gradients } = valueAndGrad(engine, (given: Tensors) => {
      const { output, auxLoss } = layer.apply(given, given.x, context);
      const task = sum(square(output));
      return auxLoss ? add(task, auxLoss) : task;
    }, parameters);
    return { loss, ...gradients };
  });
  const numbers = await numbersOf(results);
  const perRow = rows.map((_, token) => numbers.x.slice(token * WIDTH, (token + 1) * WIDTH));
  if (mask) expect(perRow.filter((_, token) => !mask[token]).flat().every((value) => value === 0), 'no gradient to padding').toBe(true);
  return { ...numbers, x: (mask ? onlyReal(perRow) : perRow).flat() };
}

/** Relative to the largest of each tensor; NaN is near nothing. */
function expectNear(found: Numbers, wanted: Numbers, tolerance: number, label: string): void {
  const far = Object.entries(wanted).filter(([name, numbers]) => {
    const scale = Math.max(1e-3, ...numbers.map(Math.abs));
    return !numbers.every((value, index) => Math.abs(found[name][index] - value) <= tolerance * scale);
  });
  expect(far.map(([name]) => name), label).toEqual([]);
}

/** AdamW with β1 = 0.9 on one parameter in float64, with gradient cos(step + i) and no decay. */
function plainAdamW(size: number, beta2: number, steps: number): number[] {
  const [p, m, v] = [0, 0, 0].map(() => new Float64Array(size));
  for (let step = 1; step <= steps; step++) {
    for (let i = 0; i < size; i++) {
      const g = Math.fround(Math.cos(step + i));
      m[i] = 0.9 * m[i] + 0.1 * g;
      v[i] = beta2 * v[i] + (1 - beta2) * g * g;
      p[i] -= (0.01 * m[i]) / (1 - 0.9 ** step) / (Math.sqrt(v[i] / (1 - beta2 ** step)) + 1e-8);
    }
  }
  return Array.from(p);
}

/** Numbers that float32 holds, a million and up to six steps of ⅛ from it, with a mean that it does not hold; gamma and the upstream gradient. */
function normNumbers(rows: number, width: number): Record<'x' | 'gamma' | 'dy', Float32Array> {
  const waves = (length: number, step: number): Float32Array => Float32Array.from({ length }, (_, i) => Math.sin(i * step));
  const x = Float32Array.from({ length: rows * width }, (_, i) => 1e6 + (((i * 37) % 11) - 5 + Number(i % 4 === 0)) / 8);
  return { x, gamma: waves(width, 0.7).map((value) => 1 + value / 2), dy: waves(rows * width, 1.3) };
}

async function normDerivatives(engine: Engine, rows: number, width: number): Promise<Numbers> {
  const { x, gamma, dy } = normNumbers(rows, width);
  const upstream = engine.tensor(dy, [rows, width]);
  const { gradients } = valueAndGrad(
    engine, (given: Tensors) => sum(multiply(layerNorm(given.x, given.gamma, given.beta), upstream)),
    { x: engine.tensor(x, [rows, width]), gamma: engine.tensor(gamma), beta: engine.zeros([width]) },
  );
  return numbersOf(gradients);
}

/** The same by the formulas of Ba et al. (2016), in float64. */
function plainNormDerivatives(rows: number, width: number): Numbers {
  const { x, gamma, dy } = normNumbers(rows, width);
  const average = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0) / values.length;
  const result = { x: [] as number[], gamma: new Array<number>(width).fill(0), beta: new Array<number>(width).fill(0) };
  for (let row = 0; row < rows; row++) {
    const own = Array.from(x.subarray(row * width, (row + 1) * width));
    const centred = own.map((value) => value - average(own));
    const inverse = 1 / Math.sqrt(average(centred.map((value) => value ** 2)) + 1e-5);
    const normal = centred.map((value) => value * inverse);
    const flow = Array.from(dy.subarray(row * width, (row + 1) * width));
    const scaled = flow.map((value, i) => value * gamma[i]);
    const along = average(scaled.map((value, i) => value * normal[i]));
    result.x.push(...scaled.map((value, i) => inverse * (value - average(scaled) - normal[i] * along)));
    flow.forEach((value, i) => {
      result.gamma[i] += value * normal[i];
      result.beta[i] += value;
    });
  }
  return result;
}

/** Registers the tests. The backend is made before the first and disposed after the last. */
export function describeExtremes(name: string, create: () => Backend | Promise<Backend>): void {
  describe(`extremes on ${name}`, () => {
    let engine: Engine;
    beforeAll(async () => void (engine = createEngine(await create())));
    afterAll(() => engine.dispose());

    it.each(ROUTERS.flatMap((router) => PATHS.map((dispatch) => ({ router, dispatch }))))(
      'a masked row is an absent row, whatever it holds: $router, $dispatch', async ({ router, dispatch }) => {
        const wanted = await layerDerivatives(engine, router, dispatch, ABSENT);
        for (const fill of [NaN, Infinity, 1e20]) expectNear(await layerDerivatives(engine, router, dispatch, maskedGroup(fill)), wanted, 2e-5, `rows of ${fill}`);
      });

    it('losses and probabilities of logits that hold NaN in padding', async () => {
      const logitsOf = (rows: readonly (readonly number[])[]): Tensor => engine.tensor(rows.flat(), [rows.length, WIDTH]);
      const derivatives = async (logits: Tensor, mask: Tensor | null): Promise<Numbers> => {
        const { loss, gradients } = valueAndGrad(engine, (x: Tensor) => {
          const routing = createThresholdRouter({ threshold: 0.6 }).route({ engine, logits: x, tokens: x.shape[0], experts: WIDTH, mask });
          return add(add(zLoss(x, mask), balanceLoss(gateProbabilities(x, mask), mask)), add(sum(square(routing.weights)), routing.zLoss!));
        }, logits);
        return numbersOf({ loss, gradients });
      };
      const wanted = await derivatives(logitsOf(ABSENT.rows), null);
      const found = await derivatives(logitsOf(maskedGroup(NaN).rows), engine.tensor([...MASK]));
      const masked = found.gradients.filter((_, at) => !MASK[Math.floor(at / WIDTH)]);
      expect(masked.every((value) => value === 0), 'no gradient to padding').toBe(true);
      found.gradients = onlyReal(MASK.map((_, token) => found.gradients.slice(token * WIDTH, (token + 1) * WIDTH))).flat();
      expectNear(found, wanted, 2e-5, 'losses');
    });

    it('N equal logits and t = j / N take j experts', async () => {
      const wrong: string[] = [];
      for (const N of [1, 3, 7, 10, 49, 100, 192, 225, 230, 256, 288, 300, 1000, 1024]) {
        for (const j of new Set([1, Math.ceil(N / 3), Math.round(0.75 * N), Math.round(0.8 * N), Math.round(0.9 * N), Math.max(1, N - 1), N])) {
          const router = createThresholdRouter({ threshold: j / N });
          const counts = engine.scope(() => router.route({ engine, logits: engine.zeros([2, N]), tokens: 2, experts: N }).counts);
          const [count] = await counts.data();
          if (count !== j) wrong.push(`t = ${j}/${N}: ${count}`);
        }
      }
      expect(wrong).toEqual([]);
    });

    it('AdamW is right where 1 − β is lost in float32', async () => {
      for (const [size, beta2] of [[5, 0.99999999], [5000, 0.999999]] as const) {
        const spec: ParameterSpec = { name: 'p', shape: [size], init: { kind: 'zeros' }, decay: false };
        const optimizer = createAdamW(engine, [spec], { beta1: 0.9, beta2, epsilon: 1e-8, weightDecay: 0, clipNorm: 0 });
        const p = engine.zeros([size]);
        for (let step = 1; step <= 12; step++) {
          const g = engine.tensor(Float32Array.from({ length: size }, (_, i) => Math.cos(step + i)));
          optimizer.step({ p }, { p: g }, { learningRate: 0.01, step }).dispose();
          g.dispose();
        }
        expectNear(await numbersOf({ p }), { p: plainAdamW(size, beta2, 12) }, 1e-5, `β2 = ${beta2}`);
        optimizer.dispose();
      }
    });

    it('the gradient of a power at base 0', async () => {
      const { gradients } = valueAndGrad(
        engine, ({ a, b }: Tensors) => sum(power(a, b)), { a: engine.tensor([0, 0, 0, 2, 0, -2]), b: engine.tensor([0, 1, 2, 0, 0.5, 2]) },
      );
      const { a, b } = await numbersOf(gradients);
      expect(a.map((value) => value + 0)).toEqual([0, 1, 0, 0, Infinity, -4]);
      expectNear({ b: b.slice(0, 5) }, { b: [0, 0, 0, Math.log(2), 0] }, 1e-5, 'b');
    });

    it.each([[5, 193], [3, 768]])('the gradient of layerNorm where the mean is a million times the deviation: %i rows of %i', async (rows, width) => {
      expectNear(await normDerivatives(engine, rows, width), plainNormDerivatives(rows, width), 2e-5, 'gradients');
    });

    it('half precision counts beyond 65,504', async () => {
      const { float16 } = engine.backend.capabilities;
      const dtype = float16 ? 'float16' : 'float32'; // without half precision the same must hold in float32
      const ones = engine.ones([70000, 2], dtype);
      expect(Array.from(await mean(ones).data())).toEqual([1]);
      expect(Array.from(await mean(ones, 0).data())).toEqual([1, 1]);
      expect(Array.from(await mean(engine.full([4], 60000, dtype)).data())).toEqual([60000]);
      // Sums on the way to a sum: 2·40,000 in each of two rows of opposite sign.
      const mixed = engine.tensor([40000, 40000, -40000, -40000, 1, 1, 1, 1], [2, 2, 2], dtype);
      expect(Array.from(await sum(engine.tensor([40000, -40000, 40000, -40000], [2, 2, 1], dtype), [0, 1]).data())).toEqual([0]);
      expect(Array.from(await sum(mixed, [0, 2]).data()).map((value) => value + 0)).toEqual([float16 ? Infinity : 80002, float16 ? -Infinity : -79998]);
      // Each of 70,000 equal ones has its share of the gradient, scaled so that half precision holds it.
      const { gradients } = valueAndGrad(engine, (x: Tensor) => sum(cast(multiply(max(x, 0), 60000), 'float32')), engine.ones([70000, 1], dtype));
      const shares = await gradients.data();
      expect(Math.abs(shares[0] - 60000 / 70000)).toBeLessThan(1e-3);
    });
  });
}

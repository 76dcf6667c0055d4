// Gradient checks by central differences, for any function of float32 tensors. Meant for the float64 mode of
// backend-cpu; not a conformance check (those compare kernels with kernels).
import {
  cast, foldIn, formatShape, hostNormal, hostUniform, multiply, randomKey, sizeOf, sum, valueAndGrad, type Engine, type Shape, type Tensor,
} from '@xmoe/core';
import { isFloat } from '@xmoe/core/backend';

export interface GradientInput {
  readonly shape: Shape;
  readonly data: ArrayLike<number>;
}

export interface GradientCheckOptions {
  /** Half of the step of the central difference. */
  readonly epsilon?: number;
  /** A gradient passes when |analytic − numeric| ≤ tolerance·(1 + |numeric|). */
  readonly tolerance?: number;
}

/**
 * Compares the gradients of Σ w·fn(inputs), w arbitrary, with central differences and returns what is wrong, one line
 * each: wrong elements, and buffers that the check left behind. `fn` must be deterministic and give a float tensor.
 */
export async function checkGradients(
  engine: Engine,
  fn: (inputs: readonly Tensor[]) => Tensor,
  inputs: readonly GradientInput[],
  { epsilon = 1e-5, tolerance = 1e-6 }: GradientCheckOptions = {},
): Promise<string[]> {
  const before = engine.memory().buffers;
  const tensors = inputs.map(({ data, shape }) => engine.tensor(Float64Array.from(data), shape).keep());
  const run = (): Tensor => engine.scope(() => toFloat32(fn(tensors)));
  const first = run();
  const weights = projection(first.shape);
  first.dispose();
  const analytic = await analyticGradients(engine, () => run(), tensors, weights);
  const problems: string[] = [];
  for (const [index, tensor] of tensors.entries()) {
    const numeric = await numericGradient(tensor, inputs[index]!.data, epsilon, async () => dot(await dataOf(run()), weights));
    for (const [position, expected] of numeric.entries()) {
      const actual = analytic[index]![position]!;
      if (Math.abs(actual - expected) <= tolerance * (1 + Math.abs(expected))) continue;
      problems.push(`input ${index} ${formatShape(tensor.shape)}, element ${position}: gradient ${actual}, central difference ${expected}`);
    }
  }
  for (const tensor of tensors) tensor.dispose();
  const left = engine.memory().buffers - before;
  if (left !== 0) problems.push(`${left} buffers are left behind`);
  return problems;
}

/** Numbers for an input: normal, positive (0.5 to 2), or `apart`: shuffled, no two nearer than 0.1, none near 0. */
export function gradientInput(shape: Shape, kind: 'normal' | 'positive' | 'apart' = 'normal', seed = 1): GradientInput {
  const size = sizeOf(shape);
  const key = foldIn(randomKey(seed), kind);
  if (kind === 'normal') return { shape, data: hostNormal(key, size) };
  const uniform = hostUniform(key, size);
  if (kind === 'positive') return { shape, data: uniform.map((value) => 0.5 + 1.5 * value) };
  const order = Array.from({ length: size }, (_, index) => index).sort((a, b) => uniform[a]! - uniform[b]!);
  return { shape, data: order.map((rank) => (rank - size / 2) * 0.1 + 0.05 / 3) };
}

function toFloat32(tensor: Tensor): Tensor {
  if (!isFloat(tensor.dtype)) throw new Error(`the function gave ${tensor.toString()}: there is no gradient to check`);
  return cast(tensor, 'float32');
}

function projection(shape: Shape): Float32Array {
  return hostNormal(randomKey(0x6772_6164), sizeOf(shape));
}

async function analyticGradients(engine: Engine, run: () => Tensor, tensors: readonly Tensor[], weights: Float32Array): Promise<ArrayLike<number>[]> {
  const { loss, gradients } = valueAndGrad(
    engine,
    () => {
      const output = run();
      return sum(multiply(output, engine.tensor(weights, output.shape)));
    },
    tensors,
  );
  loss.dispose();
  return Promise.all(gradients.map(dataOf));
}

async function numericGradient(tensor: Tensor, data: ArrayLike<number>, epsilon: number, value: () => Promise<number>): Promise<number[]> {
  const shifted = Float64Array.from(data);
  const out: number[] = [];
  for (let index = 0; index < shifted.length; index++) {
    const at = shifted[index]!;
    const sides: number[] = [];
    for (const side of [at + epsilon, at - epsilon]) {
      shifted[index] = side;
      tensor.write(shifted);
      sides.push(await value());
    }
    shifted[index] = at;
    out.push((sides[0]! - sides[1]!) / (2 * epsilon));
  }
  tensor.write(shifted);
  return out;
}

async function dataOf(tensor: Tensor): Promise<ArrayLike<number>> {
  const data = await tensor.data();
  tensor.dispose();
  return data;
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let total = 0;
  for (let index = 0; index < a.length; index++) total += a[index]! * b[index]!;
  return total;
}

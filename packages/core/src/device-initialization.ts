// Initial values drawn where the parameters will be: on a GPU the numbers of a large model take the host longer than a hundred steps take
// the device. The same numbers as hostNormal up to rounding (about 1e-6): the uniform ones under them are equal to the bit.
import type { Engine } from './engine.js';
import type { RandomKey } from './random.js';
import { abs, add, equal, floor, log, maximum, multiply, select, sqrt, square, subtract } from './ops/elementwise.js';
import { concat, reshape, slice } from './ops/movement.js';
import { randomUniform } from './ops/random.js';
import type { Tensor } from './tensor.js';

/** Smaller ones are drawn on the host: they are the same bits on every backend, and no kernels are compiled for them. */
const FROM_ELEMENTS = 2 ** 20;

/** Whether a parameter of so many values is drawn on the device: backends that can be read at once have the host's memory. */
export function drawsOnDevice({ backend }: Engine, elements: number): boolean {
  return backend.readSync === undefined && elements >= FROM_ELEMENTS;
}

/** Normal numbers of this standard deviation: float32 [length]. Box–Muller as in hostNormal. */
export function normalOnDevice(engine: Engine, key: RandomKey, length: number, std: number): Tensor {
  return engine.scope(() => {
    const pairs = Math.ceil(length / 2);
    const uniform = randomUniform(engine.key(key), [pairs, 2]);
    const radius = engine.scope(() => multiply(sqrt(maximum(multiply(log(subtract(1, slice(uniform, [0, 0], [pairs, 1]))), -2), 0)), std));
    const both = engine.scope(() => concat(cosineAndSine(engine, slice(uniform, [0, 1], [pairs, 1])).map((part) => multiply(part, radius)), 1));
    return reshape(slice(reshape(both, [2 * pairs]), [0], [length]), [length]);
  });
}

/** Of 1 / (2k)! and of 1 / (2k + 1)!, with signs, highest first. */
const COSINE = [1 / 40320, -1 / 720, 1 / 24, -1 / 2, 1];
const SINE = [1 / 362880, -1 / 5040, 1 / 120, -1 / 6, 1];

/** Of `turns` in [0, 1). By quarters and series: the sine of a GPU may be off by 5e-4. */
function cosineAndSine(engine: Engine, turns: Tensor): [Tensor, Tensor] {
  return engine.scope(() => {
    const quarters = multiply(turns, 4);
    const nearest = floor(add(quarters, 0.5)); // 0 … 4
    const angle = multiply(subtract(quarters, nearest), Math.PI / 2); // −π/4 … π/4
    const squared = square(angle);
    const series = (coefficients: readonly number[]): Tensor =>
      engine.scope(() => coefficients.slice(1).reduce((sum: Tensor, next) => {
        const following = add(multiply(sum, squared), next);
        sum.dispose();
        return following;
      }, engine.full(turns.shape, coefficients[0]!)));
    const [cosine, sine] = [series(COSINE), multiply(series(SINE), angle)];
    const between = (a: number, b: number): Tensor => equal(abs(subtract(nearest, (a + b) / 2)), (b - a) / 2); // nearest is a or b
    const odd = between(1, 3);
    const signed = (value: Tensor, negative: Tensor): Tensor => multiply(value, select(negative, engine.full([1, 1], -1), engine.full([1, 1], 1)));
    return [signed(select(odd, sine, cosine), between(1, 2)), signed(select(odd, cosine, sine), between(2, 3))];
  });
}

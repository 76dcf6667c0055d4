// AdamW over named parameters with clipping by the global norm, all on the device. Schedules are in schedules.ts.
import {
  add, adamStep, concat, divide, less, minimum, multiply, parameter, reshape, select, sqrt, sumSquares,
  type Engine, type ParameterSpec, type Parameters, type Tensor,
} from '@xmoe/core';

export interface AdamWConfig {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  /** Largest global gradient norm; 0 switches clipping off. */
  readonly clipNorm: number;
}

export interface StepInput {
  learningRate: number;
  /** 1-based number of this update, for the bias corrections: skipped updates do not count. */
  step: number;
  /** The gradients are those of loss·lossScale. */
  lossScale?: number;
}

export interface AdamW {
  /** First and second moments by parameter name: the state that a checkpoint holds. */
  readonly firstMoments: Parameters;
  readonly secondMoments: Parameters;
  /** `prepare`, then `apply`. */
  step(parameters: Parameters, gradients: Parameters, input: StepInput): Tensor;
  /** Writes what changes from step to step to the device. */
  prepare(input: StepInput): void;
  /**
   * Updates the parameters in place, as prepared. Returns the global gradient norm before clipping, float32 []. A norm that is
   * not finite (see {@link isFiniteNorm}) skips the whole update, on the device. `norm`, float32 [1]: that of all gradients of loss·lossScale, where
   * it is known or these are not all.
   */
  apply(parameters: Parameters, gradients: Parameters, norm?: Tensor): Tensor;
  dispose(): void;
}

/** Norms from here on are as good as infinite: near the largest float32, the same on every backend. */
export const LARGEST_NORM = 3e38;

/** Whether an update with this gradient norm was applied: false for NaN, infinities and what is nearly one. */
export function isFiniteNorm(norm: number): boolean {
  return norm < LARGEST_NORM;
}

/** AdamW (Loshchilov and Hutter 2019); decay only where the parameter's spec says so. */
export function createAdamW(engine: Engine, specs: readonly ParameterSpec[], config: AdamWConfig): AdamW {
  const zeros = (): Record<string, Tensor> => Object.fromEntries(specs.map((spec) => [spec.name, engine.zeros(spec.shape).keep()]));
  const firstMoments = zeros();
  const secondMoments = zeros();
  // Rewritten each step, so that a recorded step stays valid.
  const host = engine.zeros([7]).keep();
  const rests = engine.tensor([1 - config.beta1, 1 - config.beta2]).keep(); // exact here, not in float32
  const scaleInput = engine.zeros([1]).keep();
  const optimizer: AdamW = {
    firstMoments,
    secondMoments,
    step(parameters, gradients, input) {
      optimizer.prepare(input);
      return optimizer.apply(parameters, gradients);
    },
    prepare({ learningRate, step, lossScale = 1 }) {
      host.write([
        learningRate, config.beta1, config.beta2, config.epsilon, config.weightDecay,
        1 - config.beta1 ** step, 1 - config.beta2 ** step,
      ]);
      scaleInput.write([1 / lossScale]);
    },
    apply(parameters, gradients, known) {
      return engine.scope(() => {
        const norm = multiply(known ?? globalNorm(engine, specs.map((spec) => parameter(gradients, spec.name))), scaleInput);
        const hyper = concat([host, multiply(clipScale(norm, config.clipNorm), scaleInput), rests], 0);
        for (const decay of [true, false]) {
          const names = specs.filter((spec) => spec.decay === decay).map(({ name }) => name);
          const [p, g, m, v] = [parameters, gradients, firstMoments, secondMoments].map((one) => names.map((name) => parameter(one, name)));
          if (names.length > 0) adamStep(p!, g!, m!, v!, hyper, { decay });
        }
        return reshape(norm, []);
      });
    },
    dispose() {
      for (const tensor of [...Object.values(firstMoments), ...Object.values(secondMoments), host, rests, scaleInput]) tensor.dispose();
    },
  };
  return optimizer;
}

/** √Σ‖g‖²: float32 [1]. */
export function globalNorm(engine: Engine, gradients: readonly Tensor[]): Tensor {
  return engine.scope(() => sqrt(reshape(sumSquares(gradients), [1])));
}

/** min(1, clip / norm), and 0 where the norm is not finite, which skips the step: float32 [1]. */
function clipScale(norm: Tensor, clipNorm: number): Tensor {
  const { engine } = norm;
  const scale = clipNorm > 0 ? minimum(divide(engine.full([1], clipNorm), add(norm, 1e-6)), 1) : engine.ones([1]);
  return select(less(norm, LARGEST_NORM), scale, 0);
}

// Dynamic loss scaling for float16 (Micikevicius et al. 2018): host state, advanced once per step.

export interface LossScaleState {
  scale: number;
  /** Steps since the last change. */
  goodSteps: number;
}

export interface LossScaleConfig {
  readonly initial: number;
  /** Doubles after this many steps without overflow. */
  readonly growthInterval: number;
  readonly minimum: number;
  readonly maximum: number;
}

export const DEFAULT_LOSS_SCALE: LossScaleConfig = { initial: 2 ** 15, growthInterval: 1000, minimum: 1, maximum: 2 ** 24 };

/** The state after a step whose gradient norm was finite or not: halves on overflow, doubles after a quiet interval. */
export function nextLossScale(state: LossScaleState, finite: boolean, config: LossScaleConfig = DEFAULT_LOSS_SCALE): LossScaleState {
  if (!finite) return { scale: Math.max(config.minimum, state.scale / 2), goodSteps: 0 };
  if (state.goodSteps + 1 >= config.growthInterval) return { scale: Math.min(config.maximum, state.scale * 2), goodSteps: 0 };
  return { scale: state.scale, goodSteps: state.goodSteps + 1 };
}

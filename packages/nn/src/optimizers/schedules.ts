// Learning-rate schedules: pure functions of the step. Step 0 is the first update.

export type ScheduleConfig =
  | { type: 'cosine'; peak: number; final: number; warmupSteps: number; totalSteps: number }
  | { type: 'inverse-square-root'; peak: number; warmupSteps: number }
  | { type: 'constant'; peak: number; warmupSteps: number };

/**
 * The learning rate of update `step` (0-based). All warm up linearly to `peak` over `warmupSteps` updates. cosine then
 * falls to `final` in update totalSteps − 1, the last, and stays there (Loshchilov and Hutter 2017); inverse-square-root
 * goes on as peak·√(warmup / (step + 1)) (Vaswani et al. 2017).
 */
export function learningRateAt(config: ScheduleConfig, step: number): number {
  if (step < config.warmupSteps) return (config.peak * (step + 1)) / config.warmupSteps;
  if (config.type === 'constant') return config.peak;
  if (config.type === 'inverse-square-root') {
    const warmup = Math.max(1, config.warmupSteps);
    return config.peak * Math.sqrt(warmup / Math.max(warmup, step + 1));
  }
  const span = Math.max(1, config.totalSteps - config.warmupSteps);
  const progress = Math.min(1, (step + 1 - config.warmupSteps) / span);
  return config.final + 0.5 * (config.peak - config.final) * (1 + Math.cos(Math.PI * progress));
}

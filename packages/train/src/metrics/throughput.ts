// Two small measures for displays: tokens per second over a window, and a smoothed value. No output here.

export interface ThroughputMeter {
  /** Reports work done just now. */
  add(tokens: number): void;
  /** Over the window; 0 before anything can be said. */
  perSecond(): number;
}

/** Counts over the last `windowSeconds`, so that a pause (an evaluation) does not hang over the figure for ever. */
export function createThroughputMeter({
  windowSeconds = 10,
  now = () => performance.now(),
}: { windowSeconds?: number; now?: () => number } = {}): ThroughputMeter {
  const start = now();
  let marks: { at: number; tokens: number }[] = [{ at: start, tokens: 0 }];
  return {
    add(tokens) {
      const at = now();
      marks.push({ at, tokens });
      // One mark from before the window stays, as the moment from which the oldest work inside is counted.
      const firstInside = marks.findIndex((mark) => mark.at >= at - windowSeconds * 1000);
      marks = marks.slice(Math.max(0, firstInside - 1));
    },
    perSecond() {
      const seconds = (marks.at(-1)!.at - marks[0]!.at) / 1000;
      const tokens = marks.slice(1).reduce((sum, mark) => sum + mark.tokens, 0);
      return seconds > 0 ? tokens / seconds : 0;
    },
  };
}

/**
 * An exponential moving average that is right from the first value on: divided by the weight it has seen (the bias
 * correction of Kingma and Ba, Adam, section 3). Non-finite values are passed over.
 * @param decay the share of the old average that each step keeps, 0 ≤ decay < 1
 */
export function createSmoother(decay: number): (value: number) => number {
  let sum = 0;
  let weight = 0;
  return (value) => {
    if (Number.isFinite(value)) {
      sum = decay * sum + (1 - decay) * value;
      weight = decay * weight + (1 - decay);
    }
    return weight > 0 ? sum / weight : Number.NaN;
  };
}

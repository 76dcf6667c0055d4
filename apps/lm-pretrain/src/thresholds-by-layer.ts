// A threshold for each layer in place of one for all: what each layer's own threshold costs and wins is measured alone, taken for additive, and
// the cheapest choice that keeps to a goal is made from it. Numbers only: who measures the choice itself says whether it was right.

/** What one layer's threshold changes, all others as they are. */
export interface LayerOption {
  readonly threshold: number;
  /** Nats per token more than at the common threshold. */
  readonly loss: number;
  /** FLOPs more, over those of the dense layers. */
  readonly flops: number;
}

/** Of what there may be more, at most: the other is made as small as it can be. */
export interface Slack {
  readonly of: 'flops' | 'loss';
  readonly most: number;
}

/** Distances from the common threshold. */
const DISTANCES = [-0.3, -0.2, -0.15, -0.1, -0.05, -0.025, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3];

/** Thresholds to try in a layer beside the common one, in [0, 1] and to four digits. */
export function thresholdsAround(common: number): number[] {
  const around = DISTANCES.map((distance) => Number(Math.min(1, Math.max(0, common + distance)).toFixed(4)));
  return [...new Set(around)].filter((threshold) => threshold !== common);
}

/**
 * An option of each layer, the common one first in its list: by exchanges in one layer or in two, as long as one of them makes what is not limited
 * smaller and what is limited stays within `slack.most`. The common one keeps to it.
 */
export function chooseOptions(layers: readonly (readonly LayerOption[])[], { of, most }: Slack): LayerOption[] {
  const other = of === 'flops' ? 'loss' : 'flops';
  const sum = (chosen: readonly LayerOption[], key: 'loss' | 'flops'): number => chosen.reduce((total, option) => total + option[key], 0);
  let best = layers.map(([common]) => common!);
  for (let better: LayerOption[] | undefined = best; better; ) {
    best = better;
    better = undefined;
    for (const chosen of exchanges(layers, best)) {
      if (sum(chosen, of) <= most && sum(chosen, other) < sum(better ?? best, other) - LEAST_GAIN) better = chosen;
    }
  }
  return best;
}

/** Less than this is rounding. */
const LEAST_GAIN = 1e-12;

/** All choices that differ in at most two layers. */
function* exchanges(layers: readonly (readonly LayerOption[])[], chosen: readonly LayerOption[]): Generator<LayerOption[]> {
  for (const [a, first] of layers.entries()) {
    for (const [b, second] of layers.entries()) {
      if (b < a) continue;
      for (const one of first) for (const two of a === b ? [one] : second) yield chosen.with(a, one).with(b, two);
    }
  }
}

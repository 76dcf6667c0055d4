// Confidence intervals and the paired test by bootstrap resampling (Koehn, EMNLP 2004), as sacreBLEU does them: the same
// lines are drawn, so the p-values are the same.
import { MetricsError } from './errors.js';
import { countCorpus, type Metric, type MetricScore } from './metric.js';
import { createNumpyIntegers, MOST_LINES } from './numpy-random.js';
import type { References } from './references.js';

export interface BootstrapOptions {
  /** Default 1,000. */
  samples?: number;
  /** Of numpy's default generator. Default 12345, as in sacreBLEU. */
  seed?: number;
}

/** A score with what resampling says about it. */
export interface BootstrapScore {
  /** Of the lines themselves. */
  readonly score: number;
  /** Mean over the samples. */
  readonly mean: number;
  /** Half the width of the central 95 % of the samples: mean ± interval. */
  readonly interval: number;
}

export interface ComparedScore extends BootstrapScore {
  readonly name: string;
  /** How likely a difference from the baseline this large would be by chance. */
  readonly pValue: number;
}

export interface PairedBootstrap {
  readonly baseline: BootstrapScore;
  readonly systems: readonly ComparedScore[];
  readonly signature: string;
}

/** The score of a system with its confidence interval. */
export function bootstrapScore<Score extends MetricScore>(
  metric: Metric<Score>,
  hypotheses: readonly string[],
  references: References,
  options: BootstrapOptions = {},
): BootstrapScore & { signature: string } {
  const { counts, references: number } = countCorpus(metric, hypotheses, references);
  const plan = planSamples(counts.length, options);
  const signature = metric.signature({ references: number, bootstrap: plan });
  return { ...summarise(metric, counts, resample(metric, counts, plan)), signature };
}

/**
 * Compares each system with the baseline on the same samples. The p-value: how often the difference of a sample,
 * centred by the mean difference, exceeds the difference of the whole.
 */
export function pairedBootstrap<Score extends MetricScore>(
  metric: Metric<Score>,
  baseline: readonly string[],
  systems: Readonly<Record<string, readonly string[]>>,
  references: References,
  options: BootstrapOptions = {},
): PairedBootstrap {
  const { counts, references: number } = countCorpus(metric, baseline, references);
  const plan = planSamples(counts.length, options);
  const baseScores = resample(metric, counts, plan);
  const base = summarise(metric, counts, baseScores);
  const compared = Object.entries(systems).map(([name, hypotheses]): ComparedScore => {
    const own = countCorpus(metric, hypotheses, references).counts;
    const scores = resample(metric, own, plan);
    const summary = summarise(metric, own, scores);
    const differences = scores.map((score, i) => Math.abs(score - baseScores[i]));
    const centre = mean(differences);
    const whole = Math.abs(summary.score - base.score);
    const exceeding = differences.filter((difference) => difference - centre > whole).length;
    return { name, ...summary, pValue: (exceeding + 1) / (plan.samples + 1) };
  });
  return { baseline: base, systems: compared, signature: metric.signature({ references: number, bootstrap: plan }) };
}

interface SamplePlan {
  readonly samples: number;
  readonly seed: number;
  /** Line numbers of sample after sample. */
  readonly lines: Int32Array;
}

function planSamples(lines: number, { samples = 1000, seed = 12345 }: BootstrapOptions): SamplePlan {
  if (!Number.isInteger(samples) || samples < 1) {
    throw new MetricsError(`samples is ${samples}`, { op: 'bootstrap', hint: 'pass an integer from 1' });
  }
  if (lines > MOST_LINES) {
    throw new MetricsError(`${lines} lines are too many to resample`, { op: 'bootstrap', hint: `score at most ${MOST_LINES} lines` });
  }
  const draw = createNumpyIntegers(seed);
  return { samples, seed, lines: Int32Array.from({ length: samples * lines }, () => draw(lines)) };
}

/** The score of each sample. */
function resample<Score extends MetricScore>(metric: Metric<Score>, counts: readonly number[][], { samples, lines }: SamplePlan): number[] {
  const { width } = metric;
  const flat = Float64Array.from(counts.flat());
  const sums = new Float64Array(width);
  return Array.from({ length: samples }, (_, sample) => {
    sums.fill(0);
    const start = sample * counts.length;
    for (let i = start; i < start + counts.length; i++) {
      for (let column = 0, at = lines[i] * width; column < width; column++) sums[column] += flat[at + column];
    }
    return metric.scoreOf(Array.from(sums)).score;
  });
}

function summarise<Score extends MetricScore>(metric: Metric<Score>, counts: readonly number[][], scores: readonly number[]): BootstrapScore {
  const sums = new Array<number>(metric.width).fill(0);
  for (const line of counts) line.forEach((count, column) => (sums[column] += count));
  const ascending = [...scores].sort((a, b) => a - b);
  const cut = Math.floor(scores.length / 40);
  return {
    score: metric.scoreOf(sums).score,
    mean: mean(scores),
    interval: (ascending[scores.length - cut - 1] - ascending[cut]) / 2,
  };
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

// What a program hands to `reproduce`: its experiments at each scale, and how to read its runs. Types only.
import type { JsonObject } from '@xmoe/files';
import type { Experiment, Figures, FigureColumn, Quality } from './experiment.js';
import type { RecordedRun } from './run-files.js';

export interface ExperimentSuite {
  /** Its name on the command line. */
  readonly program: string;
  readonly scales: readonly string[];
  /** Those of {@link ExperimentSuite.experiments}, which are not made before one is asked for: every start of the program knows the names. */
  readonly names: readonly string[];
  /** All of them at a scale, in the order in which `all` makes them. */
  experiments(scale: string, change: ScaleChange): readonly Experiment[];
  /** Its runs end with all figures: nothing is to be evaluated by `sweep`. Default false. */
  readonly scoredByTraining?: boolean;
  /** Where --backend is not given. */
  backendOf(scale: string): string;
  readonly quality: Quality;
  readonly columns: readonly FigureColumn[];
  /** Forward and backward, of a whole run of this configuration. */
  flopsOf(config: JsonObject): number;
  /** The same of one token that rows of metrics count, at the budget of the experts. */
  flopsPerToken(config: JsonObject): number;
  /** What a finished run says of its training. */
  trainingFigures(recorded: RecordedRun, config: JsonObject): Figures;
  /** What a reader of the report must know of a scale, e.g. which text stands for which. */
  notes(scale: string, change: ScaleChange): readonly string[];
}

/** What of a scale the command line changes. */
export interface ScaleChange {
  /** Files instead of its text. */
  readonly data?: readonly string[];
  /** Steps of every run, instead of its own. */
  readonly maxSteps?: number;
}

/** What the command line says, beside the names of experiments. */
export interface ReproduceOptions extends ScaleChange {
  readonly scale: string;
  readonly seeds: number;
  readonly jobs: number;
  readonly backend?: string;
  readonly dataRoot: string;
  /** Default: runs/PROGRAM-SCALE. */
  readonly out?: string;
  /** Files of figures of runs that were made elsewhere. */
  readonly results?: readonly string[];
  readonly dryRun?: boolean;
  readonly reportOnly?: boolean;
}

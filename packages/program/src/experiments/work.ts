// What a call of `reproduce` is to do: the plan, what is known of it, here or from elsewhere, and what is left to be made.
import type { Experiment } from './experiment.js';
import type { PlannedRun } from './plan-runs.js';
import { cover, type ResultsByKey } from './results-file.js';
import { isDone } from './run-plan.js';
import type { ExperimentSuite, ReproduceOptions } from './suite.js';

/** What a call of `reproduce` is to do. */
export interface Work {
  readonly suite: ExperimentSuite;
  readonly experiments: readonly Experiment[];
  readonly plan: readonly PlannedRun[];
  readonly seeds: readonly number[];
  readonly folder: string;
  /** Runs made elsewhere, by their figures. */
  readonly elsewhere: ResultsByKey;
  readonly options: ReproduceOptions;
}

type Known = Pick<Work, 'folder' | 'elsewhere'>;

/** Whether there is nothing left to do for a run, here or elsewhere. */
export const isKnown = ({ folder, elsewhere }: Known, run: PlannedRun): boolean => isDone(folder, run) || cover(elsewhere.get(run.key), run);

/** Whether its figures are known and its weights are not in the folder. */
export const madeElsewhere = (work: Known, run: PlannedRun): boolean => !isDone(work.folder, run) && isKnown(work, run);

/** The plan without the runs that are known from elsewhere, unless one that is to be made begins with their weights. */
export function runsToMake(work: Known & Pick<Work, 'plan'>): PlannedRun[] {
  const needed = new Set<string>();
  for (const run of work.plan.toReversed()) { // sources are before what begins with them
    if (run.from !== undefined && (needed.has(run.key) || !isKnown(work, run))) needed.add(run.from);
  }
  return work.plan.filter((run) => needed.has(run.key) || !madeElsewhere(work, run));
}

// Gathers what finished runs have measured: row by row for the tables, and run by run for results.jsonl. Reads run directories.
import type { JsonObject } from '@xmoe/files';
import type { Arm, Figures, Point, Results } from './experiment.js';
import { canonical, runKey, type PlannedRun } from './plan-runs.js';
import { cover, type ResultsByKey, type RunResults } from './results-file.js';
import type { ExperimentSuite } from './suite.js';
import { failureOf, isTrained, readPoints, readRecorded, runDirectory } from './run-files.js';

type Reading = Pick<ExperimentSuite, 'trainingFigures' | 'scoredByTraining'>;

/**
 * What the tables are made of: runs of the folder, and what is known from elsewhere of those that it has not trained or evaluated. A row's figures of a seed are of one run.
 * @param suite says what a run directory tells of its training, and whether that is all
 */
export function collectResults(folder: string, seeds: readonly number[], suite: Reading, elsewhere: ResultsByKey = new Map()): Results {
  const here = new Map<string, RunResults | undefined>();
  const ofSeed = (arm: Arm, point: Point, seed: number): Figures | undefined => {
    const key = runKey(arm, seed);
    if (!here.has(key)) here.set(key, readRun(folder, key, arm.config, suite));
    for (const results of [here.get(key), elsewhere.get(key)]) {
      const evaluated = results?.failure !== undefined ? undefined : suite.scoredByTraining ? {} : results?.points[canonical(point)];
      if (results && evaluated) return { ...results.training, ...evaluated };
    }
    return undefined;
  };
  return {
    figures: ({ arm, point }) => seeds.map((seed) => ofSeed(arm, point, seed)),
    directories: (arm) => seeds.map((seed) => runDirectory(folder, runKey(arm, seed))).filter((directory) => isTrained(directory) && failureOf(directory) === undefined),
  };
}

/** What a run directory of the folder says; undefined while it is not trained. */
function readRun(folder: string, key: string, config: JsonObject, suite: Reading): RunResults | undefined {
  const directory = runDirectory(folder, key);
  const failure = failureOf(directory);
  if (failure !== undefined) return { key, training: {}, points: {}, failure };
  return isTrained(directory) ? { key, training: { ...suite.trainingFigures(readRecorded(directory), config) }, points: readPoints(directory) } : undefined;
}

/** Those of a plan's runs that there is nothing left to do for: of the folder before those from elsewhere. */
export function resultsOfPlan(folder: string, plan: readonly PlannedRun[], suite: Reading, elsewhere: ResultsByKey): RunResults[] {
  return plan.flatMap((run) => [readRun(folder, run.key, run.config, suite), elsewhere.get(run.key)].find((results) => cover(results, run)) ?? []);
}

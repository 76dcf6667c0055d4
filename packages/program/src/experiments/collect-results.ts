// Gathers what the finished runs of a folder have measured, row by row. Reads files.
import type { Arm, Figures, Point, Results } from './experiment.js';
import { canonical, runKey } from './plan-runs.js';
import type { ExperimentSuite } from './suite.js';
import { failureOf, isTrained, readPoints, readRecorded, runDirectory } from './run-files.js';

/** @param suite says what a run directory tells of its training, and whether that is all */
export function collectResults(folder: string, seeds: readonly number[], suite: Pick<ExperimentSuite, 'trainingFigures' | 'scoredByTraining'>): Results {
  const training = new Map<string, Figures>();
  const points = new Map<string, Record<string, Figures>>();
  const finished = (arm: Arm, seed: number): string | undefined => {
    const directory = runDirectory(folder, runKey(arm, seed));
    return isTrained(directory) && failureOf(directory) === undefined ? directory : undefined;
  };
  const ofSeed = (arm: Arm, point: Point, seed: number): Figures | undefined => {
    const directory = finished(arm, seed);
    if (directory === undefined) return undefined;
    if (!points.has(directory)) points.set(directory, readPoints(directory));
    const evaluated = suite.scoredByTraining ? {} : points.get(directory)![canonical(point)];
    if (!evaluated) return undefined;
    if (!training.has(directory)) training.set(directory, suite.trainingFigures(readRecorded(directory), arm.config));
    return { ...training.get(directory)!, ...evaluated };
  };
  return {
    figures: ({ arm, point }) => seeds.map((seed) => ofSeed(arm, point, seed)),
    directories: (arm) => seeds.flatMap((seed) => finished(arm, seed) ?? []),
  };
}

// What tests of programs share: a folder of their own, the program run here or as a process, and what a run directory holds.
export { createHarness, temporaryFolder, waitUntil, type Ended, type Harness, type Running } from './harness.js';
export { checkpointsOf, fingerprint, lastStep, metricsOf, type MetricsOfStep } from './run-contents.js';
export { copyOldRun, differences, outcomesOfThen } from './old-runs.js';
export { allHelpTexts, resolvedPresets, writtenDown } from './written-down.js';

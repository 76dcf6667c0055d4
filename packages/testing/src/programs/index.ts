// What tests of programs share: a folder of their own, the program run here or as a process, and what a run directory holds; and the
// command line of programs that are the repository's own.
export { programCommand } from './command.js';
export { tryJson } from './json-documents.js';
export { tryHelpPages, tryWrongLines } from './command-table.js';
export { createHarness, temporaryFolder, waitUntil, type Ended, type Harness, type Running } from './harness.js';
export { checkpointsOf, fingerprint, lastStep, metricsOf, type MetricsOfStep } from './run-contents.js';
export { copyOldRun, differences, outcomesOfThen } from './old-runs.js';
export { allHelpTexts, resolvedPresets, writtenDown } from './written-down.js';
export { fromOne, namesOf, numberOf, readToolFlags, runTool } from './tool-flags.js';

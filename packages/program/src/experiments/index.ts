// The entry @xmoe/program/experiments: plans of runs, and reports about them.
export { seriesChart, type SeriesPoint } from './charts-of-rows.js';
export { addSweepCommand, type EvaluatedSweep, type SweepCommandParts } from './add-sweep-command.js';
export type { SweptProgram } from './sweep-runs.js';
export { addReproduceCommand } from './add-reproduce-command.js';
export { tablePage, type TablePage } from '../report/table-page.js';
export type { Arm, Claim, Derived, Experiment, Figures, FigureColumn, Measurement, Point, Quality, Results, Row, RowGroup, Shown } from './experiment.js';
export { canonical } from './plan-runs.js';
export { addCompareCommand, compareCommand } from '../compare/compare-command.js';
export type { ComparedProgram, DataIdentity } from '../compare/compared-program.js';
export { figuresThere, numberAt, readObject, type RecordedRun } from './run-files.js';
export type { ExperimentSuite, ScaleChange } from './suite.js';

// The conformance suite that every backend passes.
export { type ConformanceCase, type OperandSpec, type Tolerance } from './case.js';
export { conformanceCases, runConformance, type ConformanceOptions, type TestFramework } from './run.js';

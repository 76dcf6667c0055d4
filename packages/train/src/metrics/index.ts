// Public exports of the metrics folder.
export { formatCompact, formatDuration, formatShare } from './format.js';
export type { Histogram } from './event-message.js';
export { createMetricsLog, readMetrics, type MetricsLog, type MetricsLogOptions } from './metrics-log.js';
export { createProgress, drawOn, type Progress, type ProgressOptions, type ProgressStream, type ProgressUpdate } from './progress.js';
export type { EvaluationRow, MetricsRow, RoutingRow, StepRow } from './rows.js';
export { createTensorBoardWriter, type TensorBoardOptions, type TensorBoardWriter } from './tensorboard.js';
export { createSmoother, createThroughputMeter, type ThroughputMeter } from './throughput.js';

// The entry @xmoe/train/node: checkpoints and metrics as files, the lock of a run, signals, the training of a run.
export { findBest, rankCheckpoints, saveAverage } from './checkpoint/average.js';
export type { CheckpointEntry } from './checkpoint/checkpoint-list.js';
export { readManifest, verifyManifest, type Manifest } from './checkpoint/manifest.js';
export { loadRunCheckpoint, locateCheckpoint, type CheckpointChoice } from './checkpoint/run-checkpoint.js';
export { lockRunDirectory, type RunLock } from './checkpoint/run-lock.js';
export { readSafetensors, readSafetensorsHeader, writeSafetensors } from './checkpoint/safetensors-file.js';
export {
  createCheckpointStore, readBestPointer, type CheckpointContent, type CheckpointStore, type CheckpointStoreOptions, type LoadedCheckpoint,
  type OpenedCheckpoint, type SaveRequest,
} from './checkpoint/store.js';
export { writeDirectory } from './checkpoint/write-directory.js';
export { MAXIMUM_CONFIG_BYTES, readConfigText } from './config/config-text.js';
export { createStopSignal, STOP_EXIT_CODES, type StopReason, type StopSignal, type StopSignalOptions } from './lifecycle/stop-signal.js';
export { createMetricsLog, readMetrics, type MetricsLog, type MetricsLogOptions } from './metrics/metrics-log.js';
export { createProgress, drawOn, type Progress, type ProgressOptions, type ProgressStream, type ProgressUpdate } from './metrics/progress.js';
export { createTensorBoardWriter, type TensorBoardOptions, type TensorBoardWriter } from './metrics/tensorboard.js';
export { MOST_SKIPPED, runTraining, type BatchSource, type Evaluation, type RunOutcome, type RunTrainingOptions } from './trainer/run-training.js';

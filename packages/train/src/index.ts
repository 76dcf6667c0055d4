// The public surface of @xmoe/train: what runs in browsers too. Run directories and their files are @xmoe/train/node.
export { assertTensors, type AssertTensorsOptions, type ExpectedTensor } from './checkpoint/assert-tensors.js';
export { averageTensors } from './checkpoint/average-tensors.js';
export {
  decodeSafetensors, encodeSafetensors, safetensorsChunks, type SafetensorsContent, type SafetensorsOptions,
} from './checkpoint/safetensors.js';
export type { FiledTensor, ReadableTensor, StoredArray, StoredDType, StoredTensor } from './checkpoint/tensor-format.js';
export { mergeJson } from './config/merge-json.js';
export { mergeOverrides, parseAssignment, type Overrides } from './config/overrides.js';
export { parseConfig } from './config/parse-config.js';
export { listPresets, loadPreset, type Presets } from './config/presets.js';
export type { Histogram } from './metrics/event-message.js';
export { formatCompact, formatDuration, formatShare } from './metrics/format.js';
export type { EvaluationRow, MetricsRow, RoutingRow, StepRow } from './metrics/rows.js';
export { createSmoother, createThroughputMeter, type ThroughputMeter } from './metrics/throughput.js';
export { mergeByLayer, mergeRouting, type LayerRouting, type RoutingByLayer } from './trainer/layer-routing.js';
export { requirePrecision } from './trainer/precision.js';
export { loadParameters, restoreParameters, type RestorableTensor, type TrainedTensor, type TrainedTensors, type TrainerState, type TrainerTensors } from './trainer/trainer-state.js';
export type { Reduction } from './trainer/reduction.js';
export { createTrainer, type StepReport, type Trainer, type TrainerOptions } from './trainer/trainer.js';
export type { LossFunction, LossParts } from './trainer/update.js';

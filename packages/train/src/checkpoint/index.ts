// Public exports of the checkpoint folder.
export { assertTensors, type AssertTensorsOptions, type ExpectedTensor } from './assert-tensors.js';
export { averageTensors, findBest, rankCheckpoints, saveAverage } from './average.js';
export type { CheckpointEntry } from './checkpoint-list.js';
export { readManifest, verifyManifest, type Manifest } from './manifest.js';
export { lockRunDirectory, type RunLock } from './run-lock.js';
export { readSafetensors, writeSafetensors } from './safetensors-file.js';
export { decodeSafetensors, encodeSafetensors, safetensorsChunks, type SafetensorsContent, type SafetensorsOptions } from './safetensors.js';
export {
  createCheckpointStore, readBestPointer, type CheckpointContent, type CheckpointStore, type CheckpointStoreOptions, type LoadedCheckpoint,
  type SaveRequest,
} from './store.js';
export type { StoredArray, StoredDType, StoredTensor } from './tensor-format.js';
export { writeDirectory } from './write-directory.js';

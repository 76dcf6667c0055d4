// What every command that uses a run opens first: a backend with an engine, and a model with the parameters of a checkpoint.
import { openBackend } from '@xmoe/backends';
import { initializeParameters, randomKey, type Tensor } from '@xmoe/core';
import { createLanguageModelFromConfig, languageRunSchema, type XMoELanguageModel } from '@xmoe/models';
import { dataFingerprint, loadTokenizer, openShards, type TokenDataset } from '@xmoe/text/node';
import type { BytePairTokenizer } from '@xmoe/text';
import { loadParameters } from '@xmoe/train';
import type { LoadedCheckpoint } from '@xmoe/train/node';
import type { JsonObject } from '@xmoe/files';
import {
  checkData, checkTokenizer, loadRunCheckpoint, openDevice, readRunRecord, type CheckpointChoice, type Device, type RunRecord,
} from '@xmoe/program';
import type { Config } from './config.js';

/** config.json of the run in `directory`. */
export const readRecord = (directory: string): Promise<RunRecord<Config>> => readRunRecord(directory, languageRunSchema, 'xmoe-lm');

export interface TrainedRun {
  record: RunRecord<Config>;
  device: Device;
  tokenizer: BytePairTokenizer;
  model: XMoELanguageModel;
  parameters: Record<string, Tensor>;
  /** The checkpoint that the parameters come from. */
  checkpoint: LoadedCheckpoint;
  /** Opens the data that the run was trained on. A checkpoint alone is enough for whoever does not call it. */
  dataset(): Promise<TokenDataset>;
  close(): void;
}

export interface OpenRunOptions extends CheckpointChoice {
  backend: string;
}

/** Opens a run for use: its tokenizer, its model and the parameters of one checkpoint. */
export async function openRun(directory: string, options: OpenRunOptions): Promise<TrainedRun> {
  const record = await readRecord(directory);
  const checkpoint = await loadRunCheckpoint(directory, options);
  const tokenizer = await loadTokenizer(checkpoint.path);
  const device = await openDevice(openBackend, options.backend, record.config.train);
  const model = createLanguageModelFromConfig(record.config, tokenizer.vocabularySize);
  const parameters = initializeParameters(device.engine, model.parameters, randomKey(record.config.train.seed));
  loadParameters(parameters, model.parameters, checkpoint.tensors.parameters ?? [], checkpoint.path);
  checkTokenizer(checkpoint.state.saved as JsonObject, tokenizer.hash, checkpoint.path);
  let opened: TokenDataset | undefined;
  return {
    record, device, tokenizer, model, parameters, checkpoint,
    async dataset() {
      opened ??= await openShards(record.data);
      checkTokenizer(checkpoint.state.saved as JsonObject, opened.index.tokenizer.hash, checkpoint.path);
      checkData(checkpoint.state.saved as JsonObject, { fingerprint: dataFingerprint(opened.index), directory: record.data }, checkpoint.path);
      return opened;
    },
    close() {
      opened?.close();
      device.engine.dispose();
    },
  };
}

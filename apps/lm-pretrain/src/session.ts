// What every command that uses a run opens first: a backend with an engine, and a model with the parameters of a checkpoint.
import { openBackend } from '@xmoe/backends';
import type { Tensor } from '@xmoe/core';
import { createLanguageModelFromConfig, languageRunSchema, openLanguageRun, type XMoELanguageModel } from '@xmoe/models';
import { dataFingerprint, loadTokenizer, openShards, type TokenDataset } from '@xmoe/text/node';
import type { BytePairTokenizer } from '@xmoe/text';
import { loadRunCheckpoint, type CheckpointChoice, type LoadedCheckpoint } from '@xmoe/train/node';
import type { JsonObject } from '@xmoe/files';
import {
  checkData, checkTokenizer, closingOnError, openDevice, readRunRecord, type Device, type RunRecord,
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
  checkTokenizer(checkpoint.state.saved as JsonObject, tokenizer.hash, checkpoint.path);
  const device = await openDevice(openBackend, options.backend, record.config.train);
  const { parameters } = closingOnError(device, () =>
    openLanguageRun({ config: record.config, tokenizer, parameters: checkpoint.tensors.parameters ?? [], where: checkpoint.path }, device.engine));
  let opened: TokenDataset | undefined;
  return {
    record, device, tokenizer, parameters, checkpoint,
    model: createLanguageModelFromConfig(record.config, tokenizer.vocabularySize),
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

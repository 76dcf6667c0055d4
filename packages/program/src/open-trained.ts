// What every command that uses a trained run opens first: a device, the model of one checkpoint with its parameters, and, for who asks,
// the data that it was trained on. What a model of the task is, the program says.
import type { Engine } from '@xmoe/core';
import type { JsonObject } from '@xmoe/files';
import type { RunContents } from '@xmoe/models';
import { dataFingerprint, loadTokenizer } from '@xmoe/text/node';
import { loadRunCheckpoint, type CheckpointChoice, type LoadedCheckpoint } from '@xmoe/train/node';
import { checkData } from './check-data.js';
import { closingOnError, openDevice, type BackendOpener, type Device } from './device.js';
import { checkTokenizer, type RunRecord } from './run-directory.js';
import type { TaskConfig, TaskData } from './task.js';

export interface TrainedParts<Config, Model, Dataset> {
  readonly openBackend: BackendOpener;
  readonly record: RunRecord<Config>;
  /** The model and all that comes with it, from what the files of a checkpoint hold. */
  open(contents: RunContents<Config>, engine: Engine): Model;
  openData(directory: string): Promise<Dataset>;
}

export interface TrainedOptions extends CheckpointChoice {
  readonly backend: string;
  /** A tokenizer.json that must be that of the checkpoint; for scripts that keep their own. */
  readonly tokenizer?: string;
}

/** A run in use, beside what {@link TrainedParts.open} returned. */
export interface Trained<Config, Dataset> {
  readonly record: RunRecord<Config>;
  readonly device: Device;
  /** The checkpoint that the parameters come from. */
  readonly checkpoint: LoadedCheckpoint;
  /** Opens the data that the run was trained on. A checkpoint alone is enough for whoever does not call it. */
  dataset(): Promise<Dataset>;
  close(): void;
}

/** Opens the run in `directory` for use. @throws XMoEError naming what does not fit together; then nothing stays open */
export async function openTrained<Config extends TaskConfig, Model extends object, Dataset extends TaskData['dataset']>(
  directory: string, { openBackend, record, open, openData }: TrainedParts<Config, Model, Dataset>, options: TrainedOptions,
): Promise<Model & Trained<Config, Dataset>> {
  const { config } = record;
  const checkpoint = await loadRunCheckpoint(directory, options);
  const saved = checkpoint.state.saved as JsonObject;
  const where = checkpoint.path;
  const tokenizer = await loadTokenizer(options.tokenizer ?? where);
  checkTokenizer(saved, tokenizer.hash, where);
  const device = await openDevice(openBackend, options.backend, config.train);
  const model = closingOnError(device, () => open({ config, tokenizer, parameters: checkpoint.tensors.parameters ?? [], where }, device.engine));
  let opened: Dataset | undefined;
  return {
    ...model, record, device, checkpoint,
    async dataset() {
      opened ??= await openData(record.data);
      checkTokenizer(saved, opened.index.tokenizer.hash, where);
      checkData(saved, { fingerprint: dataFingerprint(opened.index), directory: record.data }, where);
      return opened;
    },
    close() {
      opened?.close();
      device.engine.dispose();
    },
  };
}

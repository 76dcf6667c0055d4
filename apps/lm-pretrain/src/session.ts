// What every command opens first: a backend with an engine, and a model with parameters from a run or from scratch.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createEngine, initializeParameters, randomKey, XMoEError, type Engine, type EngineOptions, type FloatDType, type Tensor } from '@xmoe/core';
import {
  createCheckpointStore, loadParameters, loadTokenizer, openShards, parseConfig, parseJson, readBestPointer,
  type BytePairTokenizer, type JsonObject, type LoadedCheckpoint, type TokenDataset,
} from '@xmoe/train';
import { z } from 'zod';
import { openBackend } from '@xmoe/backends';
import { configSchema } from './config.js';
import { buildModel, type XMoELanguageModel } from './model.js';

/** Names in a run directory. */
export const RUN_FILES = {
  config: 'config.json', metrics: 'metrics.jsonl', tensorboard: 'tensorboard', checkpoints: 'checkpoints', summary: 'summary.json', report: 'report.html',
} as const;

const runRecordSchema = z.object({
  preset: z.string(),
  /** The backend that the run began on: results are bit for bit the same only there. */
  backend: z.string(),
  /** Directory of the prepared shards. */
  data: z.string(),
  config: configSchema,
});

/** What config.json of a run holds. */
export type RunRecord = z.output<typeof runRecordSchema>;

export interface Device {
  engine: Engine;
  /** One line for people. */
  reason: string;
}

/** Opens the backend `name`, and refuses a precision that it cannot do. */
export async function openDevice(name: string, precision: FloatDType, options: EngineOptions = {}): Promise<Device> {
  const { backend, reason } = await openBackend(name);
  if (precision === 'float16' && !backend.capabilities.float16) {
    backend.dispose();
    throw new XMoEError('backend', `${backend.name} has no float16`, { hint: 'use --set train.precision=float32, or --backend cpu' });
  }
  return { engine: createEngine(backend, options), reason };
}

/** config.json of the run in `directory`. */
export async function readRunRecord(directory: string): Promise<RunRecord> {
  const path = join(directory, RUN_FILES.config);
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new XMoEError('config', `${directory} holds no run: ${RUN_FILES.config} is not there`, { hint: 'name the directory that train wrote', cause });
  });
  return parseConfig(runRecordSchema, parseJson(text, { where: path }), { where: path });
}

export interface TrainedRun {
  record: RunRecord;
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

export interface OpenRunOptions {
  backend: string;
  /** `best`, `latest`, the name of one in the run, or a path. */
  checkpoint: string;
  onWarning: (message: string) => void;
}

/** Opens a run for use: its tokenizer, its model and the parameters of one checkpoint. */
export async function openRun(directory: string, options: OpenRunOptions): Promise<TrainedRun> {
  const record = await readRunRecord(directory);
  const checkpoint = await loadCheckpoint(directory, options);
  const tokenizer = await loadTokenizer(checkpoint.path);
  const device = await openDevice(options.backend, record.config.train.precision);
  const model = buildModel(device.engine, record.config, tokenizer.vocabularySize);
  const parameters = initializeParameters(device.engine, model.parameters, randomKey(record.config.train.seed));
  loadParameters(parameters, model.parameters, checkpoint.tensors.parameters ?? [], checkpoint.path);
  checkTokenizer(checkpoint.state.saved as JsonObject, tokenizer.hash, checkpoint.path);
  let opened: TokenDataset | undefined;
  return {
    record, device, tokenizer, model, parameters, checkpoint,
    async dataset() {
      opened ??= await openShards(record.data);
      checkTokenizer(checkpoint.state.saved as JsonObject, opened.index.tokenizer.hash, checkpoint.path);
      return opened;
    },
    close() {
      opened?.close();
      device.engine.dispose();
    },
  };
}

async function loadCheckpoint(directory: string, { checkpoint: which, onWarning }: OpenRunOptions): Promise<LoadedCheckpoint> {
  const checkpoints = join(directory, RUN_FILES.checkpoints);
  const store = createCheckpointStore({ directory: checkpoints, onWarning });
  if (which === 'latest') return store.loadLatest();
  if (which !== 'best') return store.load(existsSync(join(checkpoints, which)) ? join(checkpoints, which) : which);
  const best = await readBestPointer(checkpoints);
  return best ? store.load(best) : store.loadLatest();
}

/** Raises an error when the tokenizer is not the one that the checkpoint was trained with. */
export function checkTokenizer(saved: JsonObject, hash: string, where: string): void {
  if (saved.tokenizerHash === hash) return;
  throw new XMoEError('data', `the tokenizer is not the one that ${where} was trained with`, { hint: 'use the shards that the run was trained on' });
}

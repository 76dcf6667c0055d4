// What every command opens first: a backend with an engine, and a model with parameters from a run or from scratch.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createEngine, initializeParameters, randomKey, XMoEError, type Engine, type EngineOptions, type FloatDType, type Tensor } from '@xmoe/core';
import { createCheckpointStore, loadParameters, parseJson, readBestPointer, type JsonObject, type LoadedCheckpoint } from '@xmoe/train';
import { openBackend } from './backends.js';
import { savedConfig, type Config } from './config.js';
import { openPrepared, type PreparedData } from './data.js';
import { buildModel, type XMoELanguageModel } from './model.js';

/** Files of a run directory. */
export const RUN_FILES = { config: 'config.json', summary: 'summary.json', report: 'report.html', checkpoints: 'checkpoints' } as const;

/** What config.json of a run holds. */
export interface RunRecord {
  preset: string;
  /** Directory of the prepared shards. */
  data: string;
  config: Config;
}

export interface Device {
  engine: Engine;
  /** One line for people. */
  reason: string;
}

/** Opens the backend `name`, and refuses a precision that it cannot do. */
export async function openDevice(name: string, precision: FloatDType, debug: EngineOptions['debug'] = 'off'): Promise<Device> {
  const { backend, reason } = await openBackend(name);
  if (precision === 'float16' && !backend.capabilities.float16) {
    backend.dispose();
    throw new XMoEError('backend', `${backend.name} has no float16`, { hint: 'use --set train.precision=float32, or --backend cpu' });
  }
  return { engine: createEngine(backend, { debug }), reason };
}

/** config.json of the run in `directory`. */
export async function readRunRecord(directory: string): Promise<RunRecord> {
  const path = join(directory, RUN_FILES.config);
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new XMoEError('config', `${directory} holds no run: ${RUN_FILES.config} is not there`, { hint: 'name the directory that train wrote', cause });
  });
  const record = parseJson(text, { where: path }) as unknown as RunRecord;
  return { ...record, config: savedConfig(record.config, path) };
}

export interface TrainedRun extends Omit<PreparedData, 'shards'> {
  record: RunRecord;
  device: Device;
  model: XMoELanguageModel;
  parameters: Record<string, Tensor>;
  /** The checkpoint that the parameters come from. */
  checkpoint: LoadedCheckpoint;
  close(): void;
}

/** Opens a run for use: its data, its model and the parameters of one checkpoint (`best`, `latest` or a path). */
export async function openRun(directory: string, options: { backend: string; checkpoint: string }): Promise<TrainedRun> {
  const record = await readRunRecord(directory);
  const checkpoint = await loadCheckpoint(directory, options.checkpoint);
  const { dataset, tokenizer } = await openPrepared(record.data);
  const device = await openDevice(options.backend, record.config.train.precision);
  const model = buildModel(device.engine, record.config, tokenizer.vocabularySize);
  const parameters = initializeParameters(device.engine, model.parameters, randomKey(record.config.train.seed));
  loadParameters(parameters, model.parameters, checkpoint.tensors.parameters ?? [], checkpoint.path);
  checkTokenizer(checkpoint.state.saved as JsonObject, tokenizer.hash, checkpoint.path);
  const close = (): void => {
    dataset.close();
    device.engine.dispose();
  };
  return { record, device, dataset, tokenizer, model, parameters, checkpoint, close };
}

async function loadCheckpoint(directory: string, which: string): Promise<LoadedCheckpoint> {
  const checkpoints = join(directory, RUN_FILES.checkpoints);
  const store = createCheckpointStore({ directory: checkpoints });
  if (which === 'latest') return store.loadLatest();
  if (which !== 'best') return store.load(which);
  const best = await readBestPointer(checkpoints);
  return best ? store.load(best) : store.loadLatest();
}

/** Raises an error when the tokenizer is not the one that the checkpoint was trained with. */
export function checkTokenizer(saved: JsonObject, hash: string, where: string): void {
  if (saved.tokenizerHash === hash) return;
  throw new XMoEError('data', `the tokenizer is not the one that ${where} was trained with`, { hint: 'use the shards that the run was trained on' });
}

// What every command that uses a run opens first: a backend with an engine, a model with the parameters of a checkpoint, and a
// translator.
import { openBackend } from '@xmoe/backends';
import { XMoEError, type Tensor } from '@xmoe/core';
import { openTranslationRun, translationRunSchema, type LineTranslator, type Translator, type XMoETranslator } from '@xmoe/models';
import { dataFingerprint, loadTokenizer, openParallelDataset } from '@xmoe/text/node';
import type { BytePairTokenizer, LanguagePair, ParallelDataset, TranslationTokens } from '@xmoe/text';
import { loadRunCheckpoint, type CheckpointChoice, type LoadedCheckpoint } from '@xmoe/train/node';
import type { JsonObject } from '@xmoe/files';
import {
  checkData, checkTokenizer, closingOnError, openDevice, readRunRecord, type Device, type RunRecord,
} from '@xmoe/program';
import type { Config } from './config.js';

/** config.json of the run in `directory`. */
export const readRecord = (directory: string): Promise<RunRecord<Config>> => readRunRecord(directory, translationRunSchema, 'xmoe-nmt');

export interface TrainedRun {
  record: RunRecord<Config>;
  device: Device;
  tokenizer: BytePairTokenizer;
  tokens: TranslationTokens;
  languages: LanguagePair;
  /** With nothing dropped. */
  model: XMoETranslator;
  translator: Translator;
  /** Of text, with that translator. */
  lines: LineTranslator;
  parameters: Record<string, Tensor>;
  /** The checkpoint that the parameters come from. */
  checkpoint: LoadedCheckpoint;
  /** Opens the data that the run was trained on. A checkpoint alone is enough for whoever does not call it. */
  dataset(): Promise<ParallelDataset>;
  close(): void;
}

export interface OpenRunOptions extends CheckpointChoice {
  backend: string;
  /** Instead of `decoding.threshold`. */
  threshold?: number;
  /** A tokenizer.json that must be that of the checkpoint; for scripts that keep their own. */
  tokenizer?: string;
}

/** Opens a run for use. @throws XMoEError naming what does not fit together */
export async function openRun(directory: string, options: OpenRunOptions): Promise<TrainedRun> {
  const record = await readRecord(directory);
  const config = withThreshold(record.config, options.threshold);
  const checkpoint = await loadRunCheckpoint(directory, options);
  const tokenizer = await loadTokenizer(options.tokenizer ?? checkpoint.path);
  checkTokenizer(checkpoint.state.saved as JsonObject, tokenizer.hash, checkpoint.path);
  const device = await openDevice(openBackend, options.backend, config.train);
  const { tokens, model, parameters, translator, languages, lines } = closingOnError(device, () =>
    openTranslationRun({ config, tokenizer, parameters: checkpoint.tensors.parameters ?? [], where: checkpoint.path }, device.engine));
  let opened: ParallelDataset | undefined;
  return {
    record: { ...record, config }, device, tokenizer, tokens, model, parameters, checkpoint, translator, languages, lines,
    async dataset() {
      opened ??= await openParallelDataset(record.data);
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

function withThreshold(config: Config, threshold: number | undefined): Config {
  if (threshold === undefined) return config;
  if (threshold < 0 || threshold > 1) throw new XMoEError('value', `the threshold is ${threshold}`, { hint: 'pass a number from 0 to 1' });
  if (config.moe?.router.type !== 'threshold') {
    throw new XMoEError('config', `the run ${config.moe ? `uses the ${config.moe.router.type} router, which` : 'is dense: it'} has no threshold`, { hint: 'leave --threshold out' });
  }
  return { ...config, decoding: { ...config.decoding, threshold } };
}

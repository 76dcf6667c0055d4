// From the data section of a configuration to prepared shards: finds the documents, gets the tokenizer, tokenises once.
import { createHash } from 'node:crypto';
import { basename, join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import {
  createGpt2Tokenizer, createSplitter, fingerprintSources, listSourceFiles, loadTokenizer, openShards, prepareShards,
  readDocuments, splitNames, trainBpe,
  type BytePairTokenizer, type DocumentSource, type PreparedShards, type SplitName, type TextDocument, type TokenDataset,
} from '@xmoe/train';
import type { Config } from './config.js';
import { brownDocuments, brownFingerprint, sotuDocuments, sotuFingerprint } from './corpora/index.js';

export interface PreparedData {
  dataset: TokenDataset;
  tokenizer: BytePairTokenizer;
}

/** Told what happens, for a line in the terminal. */
export type Notify = (message: string) => void;

/** Characters of training text that a BPE is learned from. */
const BPE_SAMPLE_CHARACTERS = 32_000_000;

/**
 * Prepares the corpus of `config` in a directory of its own under `root`, or finds it there. The tokenizer is learned
 * on the training split only.
 */
export async function prepareData(config: Config, root: string, notify: Notify, outDirectory?: string): Promise<PreparedData & { shards: PreparedShards }> {
  const corpus = await locateCorpora(config);
  const split = { validation: config.data.validationFraction, test: config.data.testFraction };
  const directory = outDirectory ?? join(root, `${corpus.label}-${settingsHash(config, corpus.fingerprint)}`);
  const existing = await loadTokenizer(directory).catch(() => undefined);
  const tokenizer = existing ?? (await makeTokenizer(config, corpus.documents, split, notify));
  if (!existing) notify(`Tokenising ${corpus.label} with ${tokenizer.vocabularySize} tokens`);
  const shards = await prepareShards({
    // The tokenizer's settings as well: the one found may be another than asked for.
    documents: corpus.documents(), sourceFingerprint: `${corpus.fingerprint} ${tokenizerSettings(config)}`, tokenizer, outDirectory: directory, split,
  });
  const { malformed } = shards.index;
  if (malformed.count > 0 && config.data.strict) {
    throw new XMoEError('data', `${directory} was prepared without ${malformed.count} malformed rows, first ${malformed.first[0]!.place}: ${malformed.first[0]!.reason}`, {
      hint: 'correct the rows, or leave --strict out',
    });
  }
  if (malformed.count > 0) notify(`${malformed.count} malformed rows were left out, first ${malformed.first[0]!.place}: ${malformed.first[0]!.reason}`);
  return { shards, dataset: await openShards(directory), tokenizer };
}

/** Opens what {@link prepareData} made. */
export async function openPrepared(directory: string): Promise<PreparedData> {
  return { dataset: await openShards(directory), tokenizer: await loadTokenizer(directory) };
}

interface Corpus {
  /** For file names and messages. */
  label: string;
  fingerprint: string;
  /** Fresh documents at each call; by split where the corpus is published so. */
  documents(): DocumentSource | Partial<Record<SplitName, DocumentSource>>;
}

async function locateCorpora(config: Config): Promise<Corpus> {
  const { corpus, files, textField, strict, maximumExpansion } = config.data;
  if (files.length > 0) {
    const read = (paths: readonly string[]): DocumentSource => readDocuments(paths, { field: textField, strict, maximumExpansion });
    const published = publishedSplits((await listSourceFiles(files)).map((file) => file.path));
    return {
      label: basename(files[0]!).replace(/\W+/g, '-') || 'files',
      fingerprint: await fingerprintSources(files),
      documents: () => published ? mapSplits(published, read) : read(files),
    };
  }
  const parts = corpus.split('+') as ('sotu' | 'brown')[];
  return {
    label: corpus.replace('+', '-'),
    fingerprint: parts.map((part) => (part === 'sotu' ? sotuFingerprint() : brownFingerprint())).join('+'),
    documents: () => parts.flatMap((part): TextDocument[] => (part === 'sotu' ? sotuDocuments() : brownDocuments())),
  };
}

/** Files named as on the Hugging Face hub or by WikiText (train…, valid…, test…): by split, or null when any is not. */
function publishedSplits(paths: readonly string[]): Record<SplitName, string[]> | null {
  const bySplit: Record<SplitName, string[]> = { train: [], validation: [], test: [] };
  for (const path of paths) {
    const match = /^(?:wiki\.)?(train|valid|test)(?:ation)?(?:[-._]|$)/.exec(basename(path));
    if (!match) return null;
    bySplit[match[1] === 'valid' ? 'validation' : (match[1] as SplitName)].push(path);
  }
  return splitNames.every((name) => bySplit[name].length > 0) ? bySplit : null;
}

function mapSplits(splits: Record<SplitName, string[]>, read: (paths: readonly string[]) => DocumentSource): Record<SplitName, DocumentSource> {
  return { train: read(splits.train), validation: read(splits.validation), test: read(splits.test) };
}

/** What of the settings, beside the split, decides the tokens. */
function tokenizerSettings({ data: { tokenizer, textField } }: Config): string {
  return JSON.stringify([tokenizer, textField]);
}

/** Twelve hex digits of what the shards depend on. */
function settingsHash(config: Config, fingerprint: string): string {
  const { validationFraction, testFraction } = config.data;
  return createHash('sha256').update(JSON.stringify([fingerprint, tokenizerSettings(config), validationFraction, testFraction])).digest('hex').slice(0, 12);
}

async function makeTokenizer(
  config: Config,
  documents: Corpus['documents'],
  split: { validation: number; test: number },
  notify: Notify,
): Promise<BytePairTokenizer> {
  const settings = config.data.tokenizer;
  if (settings.type === 'gpt2') return createGpt2Tokenizer();
  notify(`Learning a BPE of ${settings.vocabularySize} tokens`);
  return trainBpe(await trainingTexts(documents(), split), { vocabularySize: settings.vocabularySize });
}

/** Texts of the training split, up to the sample size. */
async function trainingTexts(documents: ReturnType<Corpus['documents']>, fractions: { validation: number; test: number }): Promise<string[]> {
  const texts: string[] = [];
  let characters = 0;
  const take = (text: string): void => {
    if (characters < BPE_SAMPLE_CHARACTERS) texts.push(text);
    characters += text.length;
  };
  if (!isOneStream(documents)) {
    for await (const document of documents.train!) take(document.text);
    return texts;
  }
  const splitter = createSplitter(fractions);
  for await (const document of documents) {
    for (const item of splitter.push(document)) if (item.split === 'train') take(item.document.text);
    if (characters >= BPE_SAMPLE_CHARACTERS) break;
  }
  for (const item of splitter.finish()) if (item.split === 'train') take(item.document.text);
  return texts;
}

function isOneStream(documents: ReturnType<Corpus['documents']>): documents is DocumentSource {
  return Symbol.iterator in documents || Symbol.asyncIterator in documents;
}

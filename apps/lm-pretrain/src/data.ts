// From the data section of a configuration to prepared shards: finds the documents, gets the tokenizer, tokenises once.
import { createHash } from 'node:crypto';
import { basename, join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import {
  checkSplit, loadTokenizer, locateCorpus as locateFiles, openShards, planSplits, prepareShards, readDocuments, splitStream, watchFiles,
  type PreparedShards, type SplitPlan, type TokenDataset,
} from '@xmoe/text/node';
import { splitNames, trainBpe, type BytePairTokenizer, type HeldOut, type TextDocument } from '@xmoe/text';
import { printable } from '@xmoe/program';
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
export async function prepareData(config: Config, root: string, tell: Notify, outDirectory?: string): Promise<PreparedData & { shards: PreparedShards }> {
  const notify: Notify = (message) => tell(printable(message)); // names of files, too, are data
  const corpus = await locateCorpus(config, root);
  const { plan } = corpus;
  if (plan.line !== undefined) notify(plan.line);
  const directory = outDirectory ?? join(root, `${corpus.label}-${settingsHash(config, corpus.fingerprint)}`);
  const existing = await loadTokenizer(directory).catch(() => undefined);
  const tokenizer = existing ?? (await makeTokenizer(config, plan, notify));
  if (!existing) notify(`Tokenising ${corpus.label} with ${tokenizer.vocabularySize} tokens`);
  const shards = await prepareShards({
    // The tokenizer's settings as well: the one found may be another than asked for.
    documents: plan.documents(), sourceFingerprint: `${corpus.fingerprint} ${tokenizerSettings(config)}`, tokenizer, outDirectory: directory, split: plan.split, cut: plan.cut,
    checkSources: corpus.check,
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
  const dataset = await openShards(directory);
  const tokenizer = await loadTokenizer(directory);
  if (tokenizer.hash === dataset.index.tokenizer.hash) return { dataset, tokenizer };
  dataset.close();
  throw new XMoEError('data', `${join(directory, 'tokenizer.json')} is not the tokenizer that the shards were made with`, { hint: 'remove the directory and prepare the corpus again' });
}

/** The held-out splits that the data have. */
export type UsableSplits = Record<HeldOut, boolean>;

/** Which splits the data have, and whether they will do. What cannot be used is refused before a step is made. */
export function usableSplits({ dataset }: Pick<PreparedData, 'dataset'>, { data, model }: Config, notify: Notify): UsableSplits {
  const shares = { validation: data.validationFraction, test: data.testFraction };
  const usable = (name: HeldOut): boolean => {
    const { length } = dataset.split(name);
    if (length < 2 && shares[name] === 0) return false;
    checkSplit(name, length);
    if (length <= model.contextLength) notify(`warning: the ${name} split has ${length} tokens, less than a window of ${model.contextLength}: its perplexity says little`);
    return true;
  };
  return { validation: usable('validation'), test: usable('test') };
}

/** The splits of a corpus; `line` where files were named. */
type Plan = Pick<SplitPlan, 'documents' | 'cut' | 'split'> & { line?: string };

interface Corpus {
  /** For file names and messages. */
  label: string;
  fingerprint: string;
  /** Throws when the text is no longer what the fingerprint says. */
  check?: () => Promise<void>;
  plan: Plan;
}

async function locateCorpus({ data }: Config, root: string): Promise<Corpus> {
  const { corpus, files, textField, strict, maximumExpansion } = data;
  const shares = { validation: data.validationFraction, test: data.testFraction };
  if (files.length > 0) {
    const layout = await locateFiles(files);
    const plan = await planSplits(layout, shares, (paths) => readDocuments(paths, { field: textField, strict, maximumExpansion }));
    const listed = splitNames.flatMap((split) => layout.files[split].map(({ path, format }) => ({ path, as: format })));
    const { fingerprint, check } = await watchFiles(listed, join(root, 'sources.json'));
    return { label: basename(files[0]!).replace(/\W+/g, '-') || 'files', fingerprint: `${fingerprint} ${plan.key}`, check, plan };
  }
  const parts = corpus.split('+') as ('sotu' | 'brown')[];
  return {
    label: corpus.replace('+', '-'),
    fingerprint: parts.map((part) => (part === 'sotu' ? sotuFingerprint() : brownFingerprint())).join('+'),
    plan: { documents: () => parts.flatMap((part): TextDocument[] => (part === 'sotu' ? sotuDocuments() : brownDocuments())), cut: [], split: shares },
  };
}

/** What of the settings, beside the split, decides the tokens: not where a file lies. */
function tokenizerSettings({ data: { tokenizer, textField } }: Config): string {
  return JSON.stringify([tokenizer.type === 'file' ? { type: tokenizer.type, hash: tokenizer.hash } : tokenizer, textField]);
}

/** Twelve hex digits of what the shards depend on. */
function settingsHash(config: Config, fingerprint: string): string {
  const { validationFraction, testFraction } = config.data;
  return createHash('sha256').update(JSON.stringify([fingerprint, tokenizerSettings(config), validationFraction, testFraction])).digest('hex').slice(0, 12);
}

async function makeTokenizer(config: Config, plan: Plan, notify: Notify): Promise<BytePairTokenizer> {
  const settings = config.data.tokenizer;
  if (settings.type === 'gpt2') return (await import('@xmoe/text/gpt2')).createGpt2Tokenizer(); // its vocabulary is large
  if (settings.type === 'file') return loadFolderTokenizer(settings);
  notify(`Learning a BPE of ${settings.vocabularySize} tokens`);
  return trainBpe(await trainingTexts(plan), { vocabularySize: settings.vocabularySize });
}

/** @throws XMoEError `data` when it is another one by now */
async function loadFolderTokenizer({ path, hash }: { path: string; hash: string }): Promise<BytePairTokenizer> {
  const tokenizer = await loadTokenizer(path);
  if (tokenizer.hash === hash) return tokenizer;
  throw new XMoEError('data', `the tokenizer of ${path} is not the one that the configuration means`, { hint: 'bring the files back, or begin a new run with --init-from' });
}

/** Texts of the training split, up to the sample size. */
async function trainingTexts({ documents, split, cut }: Plan): Promise<string[]> {
  const texts: string[] = [];
  let characters = 0;
  for await (const item of splitStream(documents(), { split, cut })) {
    if (item.split !== 'train') continue;
    texts.push(item.document.text);
    characters += item.document.text.length;
    if (characters >= BPE_SAMPLE_CHARACTERS) break;
  }
  return texts;
}

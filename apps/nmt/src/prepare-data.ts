// From the `data` section of a configuration to prepared pairs: finds the files or the language packs, and runs the stages
// of @xmoe/train. The command around it, with its terminal, is elsewhere.
import { basename, join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import type { DataConfig, PairFiles } from '@xmoe/models';
import {
  loadTokenizer, openParallelDataset, pairCorpusOfFiles, parsePairSource, prepareParallel, type ParallelProgress, type PreparedParallel,
  type VocabularyOptions,
} from '@xmoe/text/node';
import { scriptsOf, type BytePairTokenizer, type PairCorpus, type ParallelDataset } from '@xmoe/text';
import { languagePackCorpus } from './corpora/index.js';

export interface PreparedData {
  readonly dataset: ParallelDataset;
  readonly prepared: PreparedParallel;
}

/**
 * Makes or finds the prepared pairs of `config` under `root` and opens them. `root/<label>` holds the stages of one corpus and
 * pair of languages, each in a directory named by all that decides it.
 */
export async function prepareData(
  config: DataConfig,
  root: string,
  onProgress?: (progress: ParallelProgress) => void,
): Promise<PreparedData> {
  const languages = { source: config.sourceLanguage, target: config.targetLanguage };
  const { nearDuplicate, ...cleaning } = config.cleaning;
  if (cleaning.minScriptShare > 0) for (const code of Object.values(languages)) scriptsOf(code); // before anything is read
  const train = config.files.length > 0
    ? await corpusOf(config.files, config, config.strict, 'training files', root)
    : languagePackCorpus(languages.source, languages.target);
  // Given sets are taken whole: a row that cannot be read would silently change the scores.
  const given = async (files: PairFiles, label: string): Promise<PairCorpus | undefined> =>
    files.length === 0 ? undefined : corpusOf(files, config, true, label, root);
  const exclude = await given(config.excludeFiles, 'excluded files');
  const prepared = await prepareParallel({
    root: join(root, labelOf(config)),
    languages,
    train: [train],
    validation: await given(config.validationFiles, 'validation files'),
    test: await given(config.testFiles, 'test files'),
    exclude: exclude === undefined ? [] : [exclude],
    heldOut: { validation: config.validationPairs, test: config.testPairs },
    splitSalt: config.splitSalt,
    cleaning,
    nearDuplicate,
    vocabulary: await vocabularyOf(config),
    maximumTokens: config.maximumTokens,
    strict: config.strict,
    onProgress,
  });
  return { dataset: await openParallelDataset(prepared.directory), prepared };
}

function corpusOf(files: PairFiles, config: DataConfig, strict: boolean, label: string, root: string): Promise<PairCorpus> {
  const languages = { source: config.sourceLanguage, target: config.targetLanguage };
  const sources = files.map((file) => (typeof file === 'string' ? parsePairSource(file) : file));
  return pairCorpusOfFiles(sources, { languages, strict, maximumExpansion: config.maximumExpansion }, `${label} (${sources.map(({ path }) => basename(path)).join(', ')})`, join(root, 'sources.json'));
}

async function vocabularyOf({ tokenizer }: DataConfig): Promise<VocabularyOptions | BytePairTokenizer> {
  if (tokenizer.type === 'file') {
    const loaded = await loadTokenizer(tokenizer.path);
    if (tokenizer.hash === undefined || tokenizer.hash === loaded.hash) return loaded;
    throw new XMoEError('data', `the tokenizer of ${tokenizer.path} is not the one that the configuration means`, { hint: 'bring the files back, or begin a new run with --init-from' });
  }
  return { size: tokenizer.vocabularySize, minFrequency: tokenizer.minFrequency };
}

/** For a directory name: `de-en` and what the text is. */
function labelOf({ sourceLanguage, targetLanguage, files, corpus }: DataConfig): string {
  for (const code of [sourceLanguage, targetLanguage]) {
    if (/^[A-Za-z]{2,3}([-_][A-Za-z0-9]+)*$/.test(code)) continue;
    throw new XMoEError('config', `"${code}" is no language code`, { op: 'prepareData', hint: 'write it as de, zh or pt-br' });
  }
  const first = files[0];
  const path = typeof first === 'string' ? parsePairSource(first).path : first?.path;
  const text = path === undefined ? corpus : basename(path).split('.')[0].replace(/\W+/g, '-');
  return `${sourceLanguage}-${targetLanguage}-${text || 'files'}`.toLowerCase();
}

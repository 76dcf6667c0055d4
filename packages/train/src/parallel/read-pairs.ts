// The reader of parallel text: files in, pairs out, with a count of what was malformed. It neither cleans nor splits.
import { XMoEError } from '@xmoe/core';
import { createMalformedRows, type MalformedRows, type MalformedSummary } from '../data/documents.js';
import { readAlignedPairs } from './aligned-pairs.js';
import type { PairReader } from './pair-reader.js';
import { fingerprintPairSources, listPairFiles, PAIRS_OP, type PairFile, type PairFileSource } from './pair-sources.js';
import type { LanguagePair, PairCorpus, TextPair } from './pairs.js';
import { readCsvPairs, readJsonPairs, readParquetPairs, readTsvPairs } from './table-pairs.js';
import { readTmxPairs } from './tmx-pairs.js';

export interface ReadPairsOptions {
  /** For TMX, and for JSON lines and Parquet with language codes as field names. */
  languages: LanguagePair;
  /** Throw at the first malformed row instead of counting it. Default false. */
  strict?: boolean;
  /** Most times its size that a compressed file, or a page of Parquet, may unpack to (64 MiB always may). Default 256. */
  maximumExpansion?: number;
}

/** Iterates from the beginning each time; `malformed` tells about the latest iteration. */
export interface FilePairStream extends AsyncIterable<TextPair> {
  readonly malformed: MalformedSummary;
}

/**
 * The pairs of files, directories and `name*` patterns (TSV, CSV, JSON lines and arrays, Parquet, TMX) and of pairs of line-aligned
 * files, each also as .gz or .zst. Memory is bounded by a chunk or a row group. Sides may be empty: cleaning counts
 * them. Throws on files that are missing, cut short, not UTF-8, not aligned, or without any pair.
 */
export function readPairs(sources: readonly PairFileSource[], options: ReadPairsOptions): FilePairStream {
  let malformed = createMalformedRows(false);
  return {
    get malformed() {
      return malformed.summary;
    },
    [Symbol.asyncIterator]() {
      malformed = createMalformedRows(options.strict ?? false, PAIRS_OP);
      return iterate(sources, options, malformed);
    },
  };
}

/** The pairs of files with their fingerprint, for `prepareParallel`. */
export async function pairCorpusOfFiles(sources: readonly PairFileSource[], options: ReadPairsOptions, label: string): Promise<PairCorpus> {
  return { label, pairs: readPairs(sources, options), fingerprint: await fingerprintPairSources(sources) };
}

async function* iterate(
  sources: readonly PairFileSource[],
  { languages, maximumExpansion }: ReadPairsOptions,
  malformed: MalformedRows,
): AsyncGenerator<TextPair> {
  for (const listed of await listPairFiles(sources)) {
    const file = { ...listed, maximumExpansion, ...(listed.target && { target: { ...listed.target, maximumExpansion } }) };
    const before = malformed.summary.count;
    let found = 0;
    for await (const pairs of readFile(file, { languages, malformed })) {
      found += pairs.length;
      yield* pairs;
    }
    if (found > 0) continue;
    const { count, first } = malformed.summary;
    const reason = count === before ? 'it is empty' : `${count - before} malformed rows, such as ${first.at(-1)!.place}: ${first.at(-1)!.reason}`;
    throw new XMoEError('data', `${file.path} holds no pairs: ${reason}`, {
      op: PAIRS_OP,
      hint: 'check the file, its format and the fields of source and target',
    });
  }
}

function readFile(file: PairFile, reader: PairReader): AsyncGenerator<TextPair[]> {
  switch (file.format) {
    case 'lines': return readAlignedPairs(file);
    case 'tsv': return readTsvPairs(file, reader);
    case 'csv': return readCsvPairs(file, reader);
    case 'jsonl': return readJsonPairs(file, reader);
    case 'json': return readJsonPairs(file, reader);
    case 'parquet': return readParquetPairs(file, reader);
    case 'tmx': return readTmxPairs(file, reader);
  }
}

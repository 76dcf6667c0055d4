// The reader of parallel text: files in, pairs out, with a count of what was malformed. It neither cleans nor splits.
import { XMoEError } from '@xmoe/core';
import { createMalformedRows, type MalformedSummary } from '../data/documents.js';
import { readAlignedPairs } from './aligned-pairs.js';
import type { PairReader } from './pair-reader.js';
import { fingerprintPairSources, listPairFiles, PAIRS_OP, type PairFile, type PairFileSource, type PairFormat } from './pair-sources.js';
import type { LanguagePair, PairCorpus, TextPair } from './pairs.js';
import { readCsvPairs, readJsonPairs, readParquetPairs, readTsvPairs } from './table-pairs.js';
import { readTmxPairs } from './tmx-pairs.js';
import { readWmtSgmPairs } from './wmt-sgm-pairs.js';
import { readWmtXmlPairs } from './wmt-xml-pairs.js';

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
  /** What the latest iteration has to say about how it read its files. */
  readonly notes: readonly string[];
}

/**
 * The pairs of files, directories and `name*` patterns (TSV, CSV, JSON lines and arrays, Parquet, TMX, WMT test sets) and of pairs
 * of line-aligned files, each also as .gz or .zst. Memory is bounded by a chunk or a row group, but for test sets. Sides may be
 * empty: cleaning counts them. Throws on files that are missing, cut short, not UTF-8, not aligned, without any pair, or with nearly
 * all rows malformed.
 */
export function readPairs(sources: readonly PairFileSource[], options: ReadPairsOptions): FilePairStream {
  let malformed = createMalformedRows(false);
  let notes: string[] = [];
  return {
    get malformed() {
      return malformed.summary;
    },
    get notes() {
      return notes;
    },
    [Symbol.asyncIterator]() {
      malformed = createMalformedRows(options.strict ?? false, PAIRS_OP);
      const own: string[] = (notes = []);
      return iterate(sources, { languages: options.languages, malformed, note: (text) => void own.push(text) }, options.maximumExpansion);
    },
  };
}

/** The pairs of files with their fingerprint, for `prepareParallel`. `record`: where the sha256 of large files are remembered. */
export async function pairCorpusOfFiles(sources: readonly PairFileSource[], options: ReadPairsOptions, label: string, record?: string): Promise<PairCorpus> {
  return { label, pairs: readPairs(sources, options), fingerprint: await fingerprintPairSources(sources, record) };
}

/** A table is not what its reader takes it for when more than this share of its rows is malformed. */
const MOST_MALFORMED = 0.9;
const TABLES: readonly PairFormat[] = ['tsv', 'csv', 'jsonl', 'json', 'parquet'];

async function* iterate(sources: readonly PairFileSource[], reader: PairReader, maximumExpansion: number | undefined): AsyncGenerator<TextPair> {
  const { malformed } = reader;
  for (const listed of await listPairFiles(sources)) {
    const file = { ...listed, maximumExpansion, ...(listed.target && { target: { ...listed.target, maximumExpansion } }) };
    const before = malformed.summary.count;
    let found = 0;
    for await (const pairs of readFile(file, reader)) {
      found += pairs.length;
      yield* pairs;
    }
    const { count, first } = malformed.summary;
    const wrong = count - before;
    // A unit of a translation memory may lack a language for good reasons.
    if (found > 0 && !(TABLES.includes(file.format) && wrong > MOST_MALFORMED * (found + wrong))) continue;
    const reason = wrong === 0 ? 'it is empty' : `${wrong} malformed rows, such as ${first.at(-1)!.place}: ${first.at(-1)!.reason}`;
    throw new XMoEError('data', `${file.path} holds ${found > 0 ? `only ${found} pairs` : 'no pairs'}: ${reason}`, {
      op: PAIRS_OP,
      hint: 'check the file, its format and the fields of source and target',
    });
  }
}

function readFile(file: PairFile, reader: PairReader): AsyncGenerator<TextPair[]> {
  switch (file.format) {
    case 'lines': return readAlignedPairs(file);
    case 'sgm': return readWmtSgmPairs(file, reader);
    case 'wmt': return readWmtXmlPairs(file, reader);
    case 'tsv': return readTsvPairs(file, reader);
    case 'csv': return readCsvPairs(file, reader);
    case 'jsonl': return readJsonPairs(file, reader);
    case 'json': return readJsonPairs(file, reader);
    case 'parquet': return readParquetPairs(file, reader);
    case 'tmx': return readTmxPairs(file, reader);
  }
}

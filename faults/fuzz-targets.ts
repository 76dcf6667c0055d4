// What is fuzzed: each reader of a file with files that it takes, and how often it is tried in the full form. What counts as a failure
// is in fuzz.ts.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { decodeSafetensors, encodeSafetensors, loadPreset, mergeOverrides } from '@xmoe/train';
import { readManifest, readMetrics, readSafetensors, writeDirectory } from '@xmoe/train/node';
import { openShards, prepareShards, readDocuments, readPairs } from '@xmoe/text/node';
import { tokenizerFromJson, tokenizerToJson, trainBpe } from '@xmoe/text';
import { parseJson, type JsonObject } from '@xmoe/files';
import { configs } from '../apps/lm-pretrain/src/config.js';
import { mutateBytes, mutateJson, mutateJsonText, mutateText, type Pick } from './mutate.js';

export interface FuzzTarget {
  /** Cases of the full form. */
  readonly cases: number;
  /** Reads one changed file; throws what the reader throws. */
  run(pick: Pick): unknown;
}

const DOCUMENTS = '{"text":"hello world"}\n{"text":"second document, é"}\n';
const PAIRS_TSV = 'Guten Tag\tGood day\nDas ist ein Haus.\tThis is a house.\nEins\tOne\n';
const PAIRS_JSON = '{"de":"Guten Tag","en":"Good day"}\n{"de":"Ja","en":"Yes"}\n';
const TABLE = 'id,text\n1,"a, ""b"""\n2,c\n';
const TMX = `<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE tmx SYSTEM "tmx14.dtd"><tmx version="1.4"><header/><body><tu><tuv xml:lang="de"><seg>Guten <bpt i="1">x</bpt>Tag</seg></tuv>
<tuv xml:lang="en"><seg>Good &amp; day</seg></tuv></tu><tu><tuv xml:lang="de"><seg>Ja</seg></tuv><tuv xml:lang="en"><seg>Yes</seg></tuv></tu></body></tmx>`;

const WMT_XML = `<?xml version='1.0' encoding='utf-8'?>
<dataset id="wmt"><collection id="general"><doc origlang="de" id="a" domain="news"><src lang="de"><p><seg id="1">Satz &amp; Wort</seg><seg id="2">Ja</seg></p></src>
<ref lang="en" translator="A"><p><seg id="2">Yes</seg><seg id="1">Sentence</seg></p></ref></doc></collection></dataset>`;
const SGM_SOURCES = '<srcset setid="s" srclang="any">\n<doc docid="a" genre=\'news\'>\n<seg id="1"> Satz &amp; Wort </seg>\n<seg id="2">Ja</seg></doc></srcset>';
const SGM_REFERENCES = '<refset setid="s" srclang="any" trglang="en">\n<doc sysid="ref" docid=a>\n<seg id="2">Yes</seg>\n<seg id="1">Sentence</seg></doc></refset>';

const fixture = (name: string): Buffer => readFileSync(new URL(`../packages/text/test/${name}`, import.meta.url));

async function drain(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items);
}

/** The targets by name, with their files in `folder`. */
export async function createTargets(folder: string): Promise<Record<string, FuzzTarget>> {
  const put = (name: string, content: string | Uint8Array): string => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  const documents = (name: string, content: string | Uint8Array) => drain(readDocuments(put(name, content)));
  const pairs = (name: string, content: string | Uint8Array) => drain(readPairs([{ path: put(name, content) }], { languages: { source: 'de', target: 'en' } }));
  const either = (text: string, pick: Pick) => (pick(2) === 0 ? mutateText(text, pick) : mutateBytes(Buffer.from(text), pick));
  const parquet = ['data/fixtures/documents.parquet', 'data/fixtures/wikitext-00000-of-00002.parquet'].map(fixture);
  const parquetPairs = ['parallel/fixtures/flat.parquet', 'parallel/fixtures/nested.parquet'].map(fixture);
  const zstd = ['parallel/fixtures/pairs.tsv.zst', 'parallel/fixtures/frames.tsv.zst'].map(fixture);
  return {
    text: { cases: 40_000, run: (pick) => documents('a.txt', mutateBytes(Buffer.from(' = Title = \n\nhello\n<|endoftext|>\nmore\n'), pick)) },
    'JSON lines': { cases: 60_000, run: (pick) => documents('a.jsonl', either(DOCUMENTS, pick)) },
    'JSON array': { cases: 40_000, run: (pick) => documents('a.json', either(`[${DOCUMENTS.trim().replace('\n', ',\n')}]`, pick)) },
    CSV: { cases: 40_000, run: (pick) => documents('a.csv', either(TABLE, pick)) },
    gzip: { cases: 30_000, run: (pick) => documents('a.jsonl.gz', mutateBytes(gzipSync(DOCUMENTS.repeat(1 + pick(50))), pick)) },
    zstd: { cases: 30_000, run: (pick) => pairs('a.tsv.zst', mutateBytes(zstd[pick(2)]!, pick)) },
    Parquet: { cases: 40_000, run: (pick) => documents('a.parquet', mutateBytes(parquet[pick(2)]!, pick)) },
    'Parquet pairs': { cases: 40_000, run: (pick) => pairs('p.parquet', mutateBytes(parquetPairs[pick(2)]!, pick)) },
    TSV: { cases: 40_000, run: (pick) => pairs('p.tsv', either(PAIRS_TSV, pick)) },
    'CSV pairs': { cases: 20_000, run: (pick) => pairs('p.csv', either(`de,en\n${PAIRS_TSV.replaceAll('\t', ',')}`, pick)) },
    'JSON pairs': { cases: 40_000, run: (pick) => pairs('p.jsonl', either(PAIRS_JSON, pick)) },
    TMX: { cases: 30_000, run: (pick) => pairs('p.tmx', either(TMX, pick)) },
    'WMT XML': { cases: 20_000, run: (pick) => pairs('p.xml', either(WMT_XML, pick)) },
    'WMT SGM': {
      cases: 20_000,
      run: (pick) => {
        const path = put('s.sgm', pick(2) === 0 ? SGM_SOURCES : either(SGM_SOURCES, pick));
        return drain(readPairs([{ path, target: put('r.sgm', either(SGM_REFERENCES, pick)) }], { languages: { source: 'de', target: 'en' } }));
      },
    },
    ...(await recordTargets(folder, put)),
  };
}

/** Files that the programs write for themselves, and configurations. */
async function recordTargets(folder: string, put: (name: string, content: string | Uint8Array) => string): Promise<Record<string, FuzzTarget>> {
  const tokenizer = trainBpe(['hello world hello'], { vocabularySize: 262 });
  const tokenizerText = tokenizerToJson(tokenizer);
  const tokenizerValue: unknown = JSON.parse(tokenizerText);
  const tensors = encodeSafetensors([
    { name: 'a', dtype: 'float32', shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) },
    { name: 'b.experts.0', dtype: 'float16', shape: [4], data: new Uint16Array(4) },
    { name: 'c', dtype: 'bool', shape: [3], data: Uint8Array.of(0, 1, 1) },
  ], { metadata: { format: 'xmoe' } });
  const headerBytes = Number(new DataView(tensors.buffer).getBigUint64(0, true));
  const header: unknown = JSON.parse(Buffer.from(tensors.subarray(8, 8 + headerBytes)).toString());
  const written = join(folder, 'written');
  await writeDirectory(written, { 'a.bin': Uint8Array.of(1, 2, 3) }, { step: 3 });
  const manifest = readFileSync(join(written, 'manifest.json'), 'utf8');
  mkdirSync(join(folder, 'shards'));
  const shards = join(folder, 'shards', 'own');
  await prepareShards({ documents: Array.from({ length: 40 }, (_, index) => ({ text: `document ${index}`, source: 'fuzz', index })), sourceFingerprint: 'fuzz', tokenizer, outDirectory: shards, split: { validation: 0.1, test: 0.1 } });
  const index = readFileSync(join(shards, 'index.json'), 'utf8');
  const preset = JSON.parse(readFileSync(new URL('../packages/models/presets/language/tiny.json', import.meta.url), 'utf8')) as JsonObject;
  const withLength = (json: string) => Buffer.concat([Buffer.from(BigUint64Array.of(BigInt(Buffer.byteLength(json))).buffer), Buffer.from(json), tensors.subarray(8 + headerBytes)]);
  const rows = '{"step":1,"kind":"train","loss":3.5}\n{"step":2,"kind":"train","loss":3.25}\n';
  return {
    JSON: { cases: 200_000, run: (pick) => parseJson(mutateJsonText(preset, pick), { where: 'a.json' }) },
    configuration: { cases: 20_000, run: (pick) => configs.resolve({ preset: put('preset.json', mutateJsonText(pick(2) === 0 ? preset : { extends: 'tiny', train: { steps: 3 } }, pick)), flags: {} }) },
    presets: { cases: 60_000, run: (pick) => loadPreset({ tiny: preset, b: mutateJson({ extends: 'tiny', train: { steps: 1 } }, pick) as JsonObject }, ['b', 'tiny', '__proto__', '../tiny'][pick(4)]!) },
    overrides: { cases: 40_000, run: (pick) => mergeOverrides(preset, { set: [mutateText('moe.experts=16', pick), mutateText('train.steps={"a":1}', pick)] }) },
    'tokenizer.json': {
      cases: 20_000,
      run: (pick) => {
        const read = tokenizerFromJson(pick(3) === 0 ? mutateText(tokenizerText, pick) : mutateJsonText(tokenizerValue, pick));
        read.decode(read.encode('hello <|endoftext|> wörld'));
      },
    },
    'safetensors bytes': { cases: 80_000, run: (pick) => (pick(8) === 0 ? readSafetensors(put('a.safetensors', mutateBytes(tensors, pick))) : decodeSafetensors(mutateBytes(tensors, pick))) },
    'safetensors header': { cases: 40_000, run: (pick) => decodeSafetensors(withLength(mutateJsonText(header, pick))) },
    manifest: {
      cases: 30_000,
      run: async (pick) => {
        put('written/manifest.json', pick(2) === 0 ? mutateBytes(Buffer.from(manifest), pick) : mutateJsonText(JSON.parse(manifest), pick));
        const read = await readManifest(written);
        if (JSON.stringify(read.files) !== JSON.stringify((JSON.parse(manifest) as { files: unknown }).files)) throw new Error('a changed manifest was accepted');
      },
    },
    'index of shards': {
      cases: 20_000,
      run: async (pick) => {
        put('shards/own/index.json', pick(4) === 0 ? mutateBytes(Buffer.from(index), pick) : mutateJsonText(JSON.parse(index), pick));
        (await openShards(shards)).close();
      },
    },
    metrics: { cases: 40_000, run: (pick) => readMetrics(put('metrics.jsonl', pick(2) === 0 ? mutateText(rows, pick) : mutateBytes(Buffer.from(rows), pick))) },
  };
}

// Pairs from WMT test sets in SGML (the format until 2020): a file with the sources and one with the references. SGML as these
// files have it and not in general: tags in any case, ampersands that stand for themselves. Entities that a file defines are refused.
import { XMoEError } from '@xmoe/core';
import type { PairReader } from './pair-reader.js';
import { PAIRS_OP, type PairFile } from './pair-sources.js';
import { takesLanguage } from './pair-xml.js';
import type { TextPair } from './pairs.js';
import { addSegment, pairsOfDocuments, TestSetError, type TestDocument } from './test-documents.js';
import type { PackedFile } from '../data/compressed-bytes.js';
import { readUtf8 } from '../data/utf8-text.js';

/** Test sets have thousands of sentences: what is larger is something else. */
const MOST_CHARACTERS = 1 << 27;

/** The pairs of `file.path` and `file.target`. `fields.target` names a reference by its `sysid` or `refid`. */
export async function* readWmtSgmPairs(file: PairFile, { languages, note }: PairReader): AsyncGenerator<TextPair[]> {
  const sources = await readSet(file, ['srcset'], 'srclang', languages.source);
  const references = await readSet(file.target!, ['refset', 'tstset'], 'trglang', languages.target);
  const documents = new Map<string, TestDocument>();
  const { fields, kind } = file.origin;
  await blaming(file.path, () => {
    for (const { id, segments } of sources) {
      if (documents.has(id)) throw new TestSetError(`there are two documents ${id}`);
      documents.set(id, { id, kind: undefined, sources: segments, references: new Map() });
    }
  });
  yield await blaming(file.target!.path, () => {
    for (const { id, system, segments } of references) {
      const document = documents.get(id);
      if (document === undefined) throw new TestSetError(`document ${id} is not among the sources`, `the two files must be of one test set: the sources are ${file.path}`);
      if (document.references.has(system)) throw new TestSetError(`there are two documents ${id}`);
      document.references.set(system, segments);
    }
    return pairsOfDocuments([...documents.values()], { path: file.path, translator: fields && String(fields.target), kind, note });
  });
}

async function blaming<Result>(path: string, work: () => Result | Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (cause) {
    if (!(cause instanceof TestSetError)) throw cause;
    throw new XMoEError('data', `${path}: ${cause.message}`, { op: PAIRS_OP, hint: cause.hint, cause });
  }
}

interface SetDocument {
  readonly id: string;
  /** Who translated it; empty for sources and where it has no name. */
  readonly system: string;
  readonly segments: Map<string, string>;
}

function readSet(file: PackedFile, kinds: readonly string[], languageName: string, language: string): Promise<SetDocument[]> {
  return blaming(file.path, async () => {
    let text = '';
    for await (const piece of readUtf8(file, PAIRS_OP)) {
      text += piece;
      if (text.length > MOST_CHARACTERS) throw new TestSetError(`it has more than ${MOST_CHARACTERS} characters`, 'that is no test set');
    }
    if (/<!ENTITY/i.test(text)) throw new TestSetError('it defines entities', 'entities that a file defines are not read: replace them by their text');
    return documentsOf(text, kinds, languageName, language);
  });
}

const TAG = /<(\/?)(srcset|refset|tstset|doc|seg)(?=[\s>])([^<>]{0,4096})>/gi;

/** The documents of a set. Anything but sets, documents and segments is passed over. */
function documentsOf(text: string, kinds: readonly string[], languageName: string, language: string): SetDocument[] {
  const documents: SetDocument[] = [];
  let system = '';
  let document: SetDocument | undefined;
  let open: { id: string | undefined; from: number; at: number } | undefined; // the segment
  let found = false;
  for (const { 0: tag, 1: slash, 2: tagName, 3: rest, index } of text.matchAll(TAG)) {
    const name = tagName!.toLowerCase();
    const attributes = slash ? new Map<string, string>() : attributesOf(rest!);
    if (open !== undefined && !(name === 'seg' && slash)) throw new TestSetError(`the segment at line ${lineAt(text, open.at)} does not end`);
    if (name === 'seg' && !slash) {
      if (document === undefined) throw new TestSetError(`the segment at line ${lineAt(text, index)} is in no document`);
      open = { id: attributes.get('id'), from: index + tag.length, at: index };
    } else if (name === 'seg' && open !== undefined) {
      addSegment(document!.segments, open.id, unescape(text.slice(open.from, index)).trim(), `document ${document!.id}`);
      open = undefined;
    } else if (name === 'doc') {
      document = slash ? undefined : { id: attributes.get('docid') ?? `at line ${lineAt(text, index)}`, system: attributes.get('sysid') ?? system, segments: new Map() };
      if (document !== undefined) documents.push(document);
    } else if (name.endsWith('set') && !slash) {
      found = true;
      system = attributes.get('refid') ?? attributes.get('sysid') ?? '';
      checkSet(name, attributes.get(languageName), kinds, language);
    }
  }
  if (open !== undefined || document !== undefined) throw new TestSetError(`it ends within ${open ? `the segment at line ${lineAt(text, open.at)}` : `document ${document!.id}`}`, 'the file is cut short: fetch it again');
  if (!found) throw new TestSetError(`it has no <${kinds[0]}>`, 'the file is of another format: name the one it has');
  if (documents.every(({ segments }) => segments.size === 0)) throw new TestSetError('it has no segments');
  return kinds.includes('srcset') ? documents.map((each) => ({ ...each, system: '' })) : documents;
}

function checkSet(name: string, code: string | undefined, kinds: readonly string[], language: string): void {
  if (!kinds.includes(name)) throw new TestSetError(`it is a <${name}> and not a <${kinds[0]}>`, 'write sources::references, in this order');
  if (code === undefined || code.toLowerCase() === 'any' || takesLanguage(language, code)) return;
  throw new TestSetError(`it is in "${code}" and not in "${language}"`, 'name the languages of the set, or take the set of this direction');
}

function attributesOf(text: string): Map<string, string> {
  return new Map([...text.matchAll(/([\w:-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"']+))/g)].map(([, name, ...values]) => [name!.toLowerCase(), values.find((value) => value !== undefined)!]));
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/** The five entities and numbers; anything else stands for itself. */
function unescape(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|(amp|lt|gt|quot|apos));/gi, (whole, decimal?: string, hex?: string, name?: string) => {
    if (name !== undefined) return ENTITIES[name.toLowerCase()]!;
    const code = hex === undefined ? Number(decimal) : parseInt(hex, 16);
    return code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? whole : String.fromCodePoint(code);
  });
}

const lineAt = (text: string, index: number): number => text.slice(0, index).split('\n').length;

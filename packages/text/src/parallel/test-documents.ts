// Test sets by document and segment, as WMT publishes them: sources and references that belong together by their names and not by
// their order. Which reference is taken, and what must not be missing. The files are wmt-xml-pairs.ts and wmt-sgm-pairs.ts.
import type { TextPair } from './pairs.js';

export interface TestDocument {
  readonly id: string;
  readonly kind: string | undefined;
  /** By name of the segment, in order. */
  readonly sources: Map<string, string>;
  /** By translator, then by name of the segment. */
  readonly references: Map<string, Map<string, string>>;
}

export interface PairingOptions {
  path: string;
  /** Translator whose references are taken. Undefined: A if every segment has one of A, else the first that has all. */
  translator: string | undefined;
  kind: string | undefined;
  note(text: string): void;
}

/** A test set whose parts do not belong together. */
export class TestSetError extends Error {
  constructor(message: string, readonly hint = 'the file is damaged or incomplete: fetch it again') {
    super(message);
  }
}

/** Adds a segment. @throws TestSetError when it has no name, or one that is taken */
export function addSegment(segments: Map<string, string>, id: string | undefined, text: string, where: string): void {
  if (id === undefined) throw new TestSetError(`${where} has a segment without id`);
  if (segments.has(id)) throw new TestSetError(`${where} has two segments ${id}`);
  segments.set(id, text);
}

/** Every source segment with its reference, document by document. @throws TestSetError naming what is missing */
export function pairsOfDocuments(documents: readonly TestDocument[], options: PairingOptions): TextPair[] {
  const { path, note } = options;
  if (documents.every(({ sources }) => sources.size === 0)) throw new TestSetError('it has no segments');
  const translators = [...new Set(documents.flatMap(({ references }) => [...references.keys()]))];
  const translator = chooseTranslator(documents, translators, options.translator);
  const others = translators.filter((name) => name !== translator);
  if (others.length > 0) note(`${path}: reference ${nameOf(translator)} is used; others there: ${others.map(nameOf).join(', ')}`);
  return documents.flatMap((document) => {
    refuseGap(document, translator);
    const references = document.references.get(translator)!;
    return [...document.sources].map(([id, source]): TextPair => ({
      source, target: references.get(id)!, kind: document.kind ?? options.kind, place: `${path} document ${document.id} segment ${id}`,
    }));
  });
}

function chooseTranslator(documents: readonly TestDocument[], translators: readonly string[], wanted: string | undefined): string {
  if (translators.length === 0) throw new TestSetError('it has no reference in the target language', 'name the languages of the set, or a file with references');
  if (wanted !== undefined) {
    if (translators.includes(wanted)) return wanted;
    throw new TestSetError(`it has no reference ${nameOf(wanted)}`, `there are ${translators.map(nameOf).join(', ')}`);
  }
  const complete = translators.filter((name) => documents.every((document) => gapOf(document, name) === undefined));
  return complete.find((name) => name === 'A') ?? complete[0] ?? translators[0]!;
}

function refuseGap(document: TestDocument, translator: string): void {
  const gap = gapOf(document, translator);
  if (gap !== undefined) throw new TestSetError(`document ${document.id}: segment ${gap.id} is missing from ${gap.from}`);
}

/** The first segment that the sources have and a reference has not, or the other way round. */
function gapOf({ sources, references }: TestDocument, translator: string): { id: string; from: string } | undefined {
  const own = references.get(translator) ?? new Map<string, string>();
  for (const id of sources.keys()) if (!own.has(id)) return { id, from: `reference ${nameOf(translator)}` };
  for (const id of own.keys()) if (!sources.has(id)) return { id, from: 'the sources' };
  return undefined;
}

const nameOf = (translator: string): string => (translator === '' ? 'without a name' : translator);

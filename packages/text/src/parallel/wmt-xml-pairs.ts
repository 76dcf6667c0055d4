// Pairs from a WMT test set in XML (the format since 2021): one file with documents, each with its source, references by
// translator, and perhaps outputs of systems, which are not read. Documents of test suites are left out, as sacreBLEU does.
import { XMoEError } from '@xmoe/core';
import type { SaxesTagPlain } from 'saxes';
import type { PairReader } from './pair-reader.js';
import { PAIRS_OP, type PairFile } from './pair-sources.js';
import { readXml, takesLanguage } from './pair-xml.js';
import type { LanguagePair, TextPair } from './pairs.js';
import { addSegment, pairsOfDocuments, TestSetError, type TestDocument } from './test-documents.js';

/** The pairs of a file. `fields.target` names a translator; the kind is the document's domain. */
export async function* readWmtXmlPairs(file: PairFile, { languages, note }: PairReader): AsyncGenerator<TextPair[]> {
  const { documents, handlers } = createDocumentReader(languages);
  const { fields, kind } = file.origin;
  try {
    for await (const none of readXml(file, { name: 'a WMT test set', root: 'dataset' }, handlers, (): TextPair[] => [])) yield none;
    yield pairsOfDocuments(documents, { path: file.path, translator: fields && String(fields.target), kind, note });
  } catch (cause) {
    if (!(cause instanceof TestSetError)) throw cause;
    throw new XMoEError('data', `${file.path}: ${cause.message}`, { op: PAIRS_OP, hint: cause.hint, cause });
  }
}

function createDocumentReader(languages: LanguagePair) {
  const documents: TestDocument[] = [];
  let document: TestDocument | undefined; // that is open and no test suite
  let segments: Map<string, string> | undefined; // of the open source or reference
  let where = '';
  let segment: { id: string | undefined; text: string } | undefined;

  const openText = ({ name, attributes }: SaxesTagPlain) => {
    if (document === undefined || name === 'hyp') return;
    const language = attributes.lang ?? '';
    if (name === 'src') {
      if (language !== '' && !takesLanguage(languages.source, language)) {
        throw new TestSetError(`document ${document.id} has its source in "${language}" and not in "${languages.source}"`, 'name the languages of the set, or take the set of this direction');
      }
      segments = document.sources;
      where = `document ${document.id}: the source`;
    } else if (language === '' || takesLanguage(languages.target, language)) {
      const translator = attributes.translator ?? '';
      segments = document.references.get(translator) ?? new Map<string, string>();
      document.references.set(translator, segments);
      where = `document ${document.id}: the reference`;
    }
  };
  const handlers = {
    open(tag: SaxesTagPlain, line: number) {
      const { name, attributes } = tag;
      if (name === 'doc' && attributes.testsuite === undefined) {
        document = { id: attributes.id ?? `at line ${line}`, kind: attributes.domain, sources: new Map(), references: new Map() };
        if (documents.some(({ id }) => id === document!.id)) throw new TestSetError(`there are two documents ${document.id}`);
        documents.push(document);
      } else if (name === 'src' || name === 'ref' || name === 'hyp') openText(tag);
      else if (name === 'seg' && segments !== undefined) segment = { id: attributes.id, text: '' };
    },
    text(piece: string) {
      if (segment !== undefined) segment.text += piece;
    },
    close(name: string) {
      if (name === 'seg' && segment !== undefined && segments !== undefined) {
        addSegment(segments, segment.id, segment.text.trim(), where);
        segment = undefined;
      } else if (name === 'src' || name === 'ref' || name === 'hyp') segments = undefined;
      else if (name === 'doc') document = undefined;
    },
    /** A test set is taken whole: nothing of it can be left out. */
    badCharacter: () => false,
  };
  return { documents, handlers };
}

// Deterministic splits by document: a document's split follows from the hash of its text, not from its position, and equal
// texts always land together. Works on a stream and holds back a few documents so that no split stays empty.
import { createHash } from 'node:crypto';
import { XMoEError } from '@xmoe/core';
import type { TextDocument } from './documents.js';
import { splitNames, type SplitName } from './splits.js';

export interface SplitFractions {
  /** Share of the documents, 0 … 1. A positive share gets at least one document when there are enough. */
  readonly validation: number;
  readonly test: number;
}

export const DEFAULT_FRACTIONS: SplitFractions = { validation: 0.05, test: 0.05 };

export interface SplitDocument {
  readonly split: SplitName;
  readonly document: TextDocument;
}

export interface Splitter {
  /** Takes a document and gives back those whose split is final. */
  push(document: TextDocument): SplitDocument[];
  /** The documents held back. Call once, at the end. */
  finish(): SplitDocument[];
}

interface Held {
  readonly hash: number;
  readonly documents: TextDocument[];
}

/** Documents of each split held back: enough to fill the two others from it. */
const HELD_BACK = 2;

/** A splitter over a stream. `salt` gives another split of the same documents. */
export function createSplitter(fractions: SplitFractions, salt = ''): Splitter {
  checkFractions(fractions);
  const wanted = splitNames.filter((name) => name === 'train' || fractions[name] > 0);
  const held: Record<SplitName, Held[]> = { train: [], validation: [], test: [] };
  const released = new Set<SplitName>(); // splits with more documents than are held back
  /** Documents of a split, as far as it matters; equal in any order of arrival, which the number released is not. */
  const sizeOf = (name: SplitName): number => held[name].length + (released.has(name) ? 1 : 0);

  return {
    push(document) {
      const hash = hashText(document.text, salt);
      const split = splitOfHash(hash, fractions);
      const reserve = held[split];
      const twin = reserve.find((entry) => entry.hash === hash);
      if (twin !== undefined) {
        twin.documents.push(document);
        return [];
      }
      reserve.push({ hash, documents: [document] });
      reserve.sort((a, b) => a.hash - b.hash);
      // The smallest hashes stay: which ones those are does not depend on the order of arrival.
      if (reserve.length <= HELD_BACK) return [];
      released.add(split);
      return reserve.pop()!.documents.map((item) => ({ split, document: item }));
    },
    finish() {
      const priority = fillOrder.filter((name) => wanted.includes(name));
      for (const [rank, empty] of priority.entries()) {
        if (sizeOf(empty) > 0) continue;
        // From the split with the most; its last document only where the empty split matters more.
        const donors = priority.filter((name, other) => held[name].length > 0 && sizeOf(name) >= (other > rank ? 1 : 2));
        if (donors.length === 0) continue;
        const donor = donors.reduce((best, name) => (sizeOf(name) > sizeOf(best) ? name : best));
        held[empty].push(held[donor].shift()!);
      }
      return splitNames.flatMap((split) =>
        held[split].flatMap((entry) => entry.documents.map((document) => ({ split, document }))),
      );
    },
  };
}

/** The documents of each split, in their order of arrival except for the few held back. */
export function splitDocuments(
  documents: Iterable<TextDocument>,
  fractions: SplitFractions,
  salt = '',
): Record<SplitName, TextDocument[]> {
  const splits: Record<SplitName, TextDocument[]> = { train: [], validation: [], test: [] };
  const splitter = createSplitter(fractions, salt);
  for (const document of documents) for (const item of splitter.push(document)) splits[item.split].push(item.document);
  for (const item of splitter.finish()) splits[item.split].push(item.document);
  return splits;
}

/** Where documents are few: training first, then the test set. */
const fillOrder: readonly SplitName[] = ['train', 'test', 'validation'];

/** The first 48 bits of sha256, as a number in [0, 1). */
function hashText(text: string, salt: string): number {
  const digest = createHash('sha256').update(`${salt}\0`).update(text, 'utf8').digest();
  return digest.readUIntBE(0, 6) / 2 ** 48;
}

function splitOfHash(hash: number, { validation, test }: SplitFractions): SplitName {
  if (hash < test) return 'test';
  return hash < test + validation ? 'validation' : 'train';
}

function checkFractions({ validation, test }: SplitFractions): void {
  for (const [name, value] of Object.entries({ validation, test, 'validation + test': validation + test })) {
    if (value >= 0 && value < 1) continue;
    throw new XMoEError('value', `the ${name} fraction is ${value}`, {
      op: 'splitDocuments',
      hint: 'fractions lie in [0, 1) and leave something to train on',
    });
  }
}

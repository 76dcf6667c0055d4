// Corpora in memory and on disk for the tests of parallel text. No tests here.
import { fileURLToPath } from 'node:url';
import type { LanguagePair, PairCorpus, TextPair } from '../../src/parallel/pairs.js';

export const languages: LanguagePair = { source: 'de', target: 'en' };

export const fixture = (name: string): string => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url));

/** The three pairs of the fixtures. */
export const fixturePairs = [
  { source: 'Guten Morgen, Welt!', target: 'Good morning, world!', kind: 'greeting' },
  { source: 'Öffne die Tür – bitte.', target: 'Open the door – please.', kind: 'request' },
  { source: 'Es regnet in Köln.', target: 'It is raining in Cologne.', kind: 'weather' },
];

export function corpusOf(pairs: readonly Omit<TextPair, 'place'>[], label = 'memory', fingerprint = `${label} ${JSON.stringify(pairs).length}`): PairCorpus {
  return { label, fingerprint, pairs: pairs.map((pair, i) => ({ ...pair, place: `${label} ${i}` })) };
}

const NOUNS: readonly [string, string][] = [
  ['Hund', 'dog'], ['Katze', 'cat'], ['Datei', 'file'], ['Garten', 'garden'], ['Brücke', 'bridge'], ['Schlüssel', 'key'], ['Fenster', 'window'],
  ['Lampe', 'lamp'], ['Zug', 'train'], ['Berg', 'mountain'], ['Vogel', 'bird'], ['Straße', 'street'], ['Schiff', 'ship'], ['Wolke', 'cloud'],
];
const VERBS: readonly [string, string][] = [
  ['findet', 'finds'], ['sieht', 'sees'], ['öffnet', 'opens'], ['sucht', 'seeks'], ['baut', 'builds'], ['verliert', 'loses'], ['zeichnet', 'draws'],
];
const ENDS: readonly [string, string][] = [
  ['am Morgen', 'in the morning'], ['ohne Hilfe', 'without help'], ['mit großer Freude', 'with great joy'], ['im kalten Winter', 'in the cold winter'],
  ['trotz des Regens', 'despite the rain'], ['und geht nach Hause', 'and goes home'],
];

/** Different pairs, up to 14 · 7 · 14 · 6 of them; every third of kind `b`. */
export function manyPairs(count: number): { source: string; target: string; kind: string }[] {
  return Array.from({ length: count }, (_, i) => {
    const pick = <Item>(list: readonly Item[], step: number): Item => list[Math.floor(i / step) % list.length];
    const subject = pick(NOUNS, 1);
    const verb = pick(VERBS, 14);
    const object = NOUNS[(Math.floor(i / 98) + i) % 14];
    const end = pick(ENDS, 3);
    return {
      source: `Wort${i} ${subject[0]} ${verb[0]} ${object[0]} ${end[0]}.`,
      target: `Word${i} ${subject[1]} ${verb[1]} ${object[1]} ${end[1]}.`,
      kind: i % 3 === 0 ? 'b' : 'a',
    };
  });
}

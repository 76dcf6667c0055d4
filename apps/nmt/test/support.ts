// What the tests of the program share: a folder, a small made-up language, the program run here or as a process of its own. No tests.
import { writeFileSync } from 'node:fs';
import { createHarness, temporaryFolder as folderFor } from '@xmoe/testing/programs';
import { afterAll } from 'vitest';
import { runProgram } from '../src/program.js';

export { checkpointsOf, fingerprint, lastStep, metricsOf, waitUntil } from '@xmoe/testing/programs';

/** `path(name)` in a fresh folder that is removed after the tests of the file. */
export const temporaryFolder = (): ((...names: string[]) => string) => folderFor(afterAll);

export const { runHere, mustRun, feed, startProcess } = createHarness({ run: runProgram, cli: new URL('../src/cli.ts', import.meta.url), after: afterAll });

const NOUNS: [string, string][] = [
  ['Haus', 'house'], ['Tür', 'door'], ['Stadt', 'city'], ['Wald', 'forest'], ['Fluss', 'river'], ['König', 'king'], ['Schiff', 'ship'], ['Baum', 'tree'],
  ['Straße', 'street'], ['Berg', 'mountain'], ['Vogel', 'bird'], ['Tisch', 'table'],
];
const ADJECTIVES: [string, string][] = [['rot', 'red'], ['alt', 'old'], ['groß', 'big'], ['schön', 'fine'], ['grün', 'green'], ['neu', 'new']];
const VERBS: [string, string][] = [['sieht', 'sees'], ['kennt', 'knows'], ['sucht', 'seeks'], ['findet', 'finds'], ['liebt', 'loves']];

/** Distinct pairs, always the same: the verb comes last in the source, and nouns before their adjectives. */
export function smallPairs(count: number): [source: string, target: string][] {
  let seed = 11;
  const pick = <Item>(items: readonly Item[]): Item => items[(seed = (seed * 48271) % 2147483647) % items.length]!;
  const pairs = new Map<string, string>();
  while (pairs.size < count) {
    const [[a, aTo], [n, nTo], [v, vTo], [b, bTo], [m, mTo]] = [pick(ADJECTIVES), pick(NOUNS), pick(VERBS), pick(ADJECTIVES), pick(NOUNS)];
    pairs.set(`Das ${n} ${a} das ${m} ${b} ${v}.`, `The ${aTo} ${nTo} ${vTo} the ${bTo} ${mTo}.`);
  }
  return [...pairs];
}

/** Writes pairs as TSV and returns the path. */
export function writePairs(path: string, pairs = smallPairs(400)): string {
  writeFileSync(path, pairs.map(([source, target]) => `${source}\t${target}\n`).join(''));
  return path;
}

/** Flags for a model, but for its experts, that takes milliseconds a step, with everything on that uses random numbers. */
export const SMALL = [
  '--backend', 'cpu:wasm', '--vocabulary-size', '340', '--validation-pairs', '20', '--test-pairs', '30', '--near-duplicate', '1',
  '--width', '16', '--heads', '2', '--hidden', '32', '--dropout', '0.1', '--set', 'data.maximumTokens=48',
  '--batch-tokens', '128', '--update-tokens', '150', '--warmup-steps', '1', '--schedule', 'inverse-square-root', '--learning-rate', '0.004', '--eval-every', '10', '--eval-pairs', '8', '--scored-pairs', '12', '--routing-every', '2', '--beam', '2',
];

/** Its experts. */
export const EXPERTS = ['--experts', '4', '--expert-hidden', '16'];

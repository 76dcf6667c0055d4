// What the tests of the program share: a folder, a small corpus, the program run here or as a process of its own. No tests.
import { writeFileSync } from 'node:fs';
import { createHarness, temporaryFolder as folderFor } from '@xmoe/testing/programs';
import { afterAll } from 'vitest';
import { runProgram } from '../src/program.js';

export { checkpointsOf, fingerprint, lastStep, metricsOf, waitUntil } from '@xmoe/testing/programs';

/** `path(name)` in a fresh folder that is removed after the tests of the file. */
export const temporaryFolder = (): ((...names: string[]) => string) => folderFor(afterAll);

const WORDS = 'the a of to in king queen house war peace people state good great new old law river sea land café'.split(' ');

/** Documents of words that follow each other with a pattern, always the same. */
export function smallTexts(documents: number): string[] {
  let seed = 7;
  const random = (): number => (seed = (seed * 48271) % 2147483647) / 2147483647;
  return Array.from({ length: documents }, () => {
    let word = 0;
    const words = Array.from({ length: 60 }, () => {
      word = random() < 0.7 ? (word * 5 + 3) % WORDS.length : Math.floor(random() * random() * WORDS.length);
      return WORDS[word]!;
    });
    return `${words.join(' ')}.`;
  });
}

/** Writes JSON lines of small documents and returns the path. */
export function writeCorpus(path: string, documents = 60): string {
  writeFileSync(path, smallTexts(documents).map((text) => `${JSON.stringify({ text })}\n`).join(''));
  return path;
}

/** Flags for a model, but for its experts, that takes milliseconds a step, with everything on that uses random numbers. */
export const SMALL = [
  '--backend', 'tfjs:wasm', '--set', 'data.tokenizer.vocabularySize=280', '--validation-fraction', '0.1', '--test-fraction', '0.1',
  '--context-length', '16', '--width', '16', '--heads', '2', '--hidden', '32', '--dropout', '0.1',
  '--batch-size', '2', '--accumulation', '2', '--warmup-steps', '1', '--eval-every', '20', '--eval-windows', '4', '--test-windows', '20',
  '--routing-every', '2',
];

/** Its experts. */
export const EXPERTS = ['--experts', '4', '--expert-hidden', '16'];

export const { runHere, mustRun, startProcess } = createHarness({ run: runProgram, cli: new URL('../src/cli.ts', import.meta.url), after: afterAll });

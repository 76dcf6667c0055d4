// The numbers that Hugging Face `tokenizers` produced (fixtures/make-fixtures.py), typed. No tests here.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

interface Expected {
  training: string[];
  trainedVocabularySize: number;
  trainedMerges: string[];
  texts: string[];
  preTokens: string[][];
  huggingFaceIds: number[][];
  gpt2Ids: number[][];
  marked: { text: string; huggingFaceIds: number[]; gpt2Ids: number[] };
}

export const fixture = (name: string): string => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url));

export const expected = JSON.parse(readFileSync(fixture('expected.json'), 'utf8')) as Expected;

// The numbers of sacreBLEU in fixtures/ (see make-fixtures.py there), and their settings in our names. No tests here.
import { readFileSync } from 'node:fs';
import type { BleuOptions, ChrfOptions, Smoothing, TokenizerName } from '../src/index.js';

interface BleuSettings {
  lowercase?: boolean;
  effective_order?: boolean;
  tokenize?: TokenizerName;
  smooth_method?: Smoothing;
  smooth_value?: number;
  max_ngram_order?: number;
}

interface ChrfSettings {
  char_order?: number;
  word_order?: number;
  beta?: number;
  lowercase?: boolean;
  whitespace?: boolean;
  eps_smoothing?: boolean;
}

export interface ScoreFixture {
  name: string;
  hypotheses: string[];
  references: (string | null)[][];
  bleu: {
    settings: BleuSettings;
    score: number;
    counts: number[];
    totals: number[];
    precisions: number[];
    bp: number;
    hypothesisLength: number;
    referenceLength: number;
    signature: string;
    text: string;
    tokens: string[][] | null;
  }[];
  chrf: { settings: ChrfSettings; score: number; name: string; signature: string }[];
}

export interface BootstrapFixture {
  systems: [string, string[]][];
  references: string[];
  tests: { metric: 'bleu' | 'chrf'; signature: string; results: { name: string; score: number; mean: number; ci: number; p: number | null }[] }[];
  /** Seed → twenty draws below 1, 2, 7, 1000, 99991. */
  draws: Record<string, number[][]>;
}

const read = (name: string): unknown => JSON.parse(readFileSync(new URL(`./fixtures/${name}`, import.meta.url), 'utf8'));

export const scoreFixtures = read('scores.json') as ScoreFixture[];
export const bootstrapFixture = read('bootstrap.json') as BootstrapFixture;

export const bleuOptions = (settings: BleuSettings): BleuOptions => ({
  lowercase: settings.lowercase,
  effectiveOrder: settings.effective_order,
  tokenizer: settings.tokenize,
  smoothing: settings.smooth_method,
  smoothingValue: settings.smooth_value,
  maxOrder: settings.max_ngram_order,
});

export const chrfOptions = (settings: ChrfSettings): ChrfOptions => ({
  characterOrder: settings.char_order,
  wordOrder: settings.word_order,
  beta: settings.beta,
  lowercase: settings.lowercase,
  whitespace: settings.whitespace,
  epsilonSmoothing: settings.eps_smoothing,
});

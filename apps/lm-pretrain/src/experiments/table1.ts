// Table 1: the paper's methods at equal FLOPs, both sizes, both corpora.
import type { Claim, Experiment, Row } from '@xmoe/program/experiments';
import { publishedInTable1 } from './published.js';
import { denseArm, expertArm, type ExpertFacts, type Setting } from './settings.js';

/** Nothing dropped, nothing leaks. */
export const LEAK_FREE = {};
/** What tables show beside the quality where nothing is dropped in training either. */
export const LEAK_FREE_COLUMNS: readonly string[] = ['perplexity', 'wantedTraining', 'executedTraining', 'wantedEvaluation', 'executedEvaluation', 'loadEvaluation', 'processorSeconds', 'trainingSeconds'];

/** Finer experts of the paper: 2, 4 and 8 times smaller than the dense layer. */
const FINER = [2, 4, 8];

export const topK = (finer: number): ExpertFacts => ({ finer, router: { type: 'topk', k: finer } });
export const xmoe = (finer: number, threshold = 0.9): ExpertFacts => ({ finer, router: { type: 'threshold', threshold } });

/** The rows of the table for one setting, by label. */
export function table1Rows(setting: Setting): Record<string, Row> {
  const row = (label: string, facts: ExpertFacts | null): Row => {
    const published = publishedInTable1(setting.size.standsFor, setting.corpus.standsFor, label);
    return { label, arm: facts === null ? denseArm(setting) : expertArm(setting, facts), point: LEAK_FREE, ...(published ? { published } : {}) };
  };
  const rows = [
    row('dense', null),
    ...['switch', 'hash', 'base'].map((type) => row({ switch: 'Switch', hash: 'Hash', base: 'BASE' }[type]!, { finer: 1, router: { type } })),
    ...FINER.map((finer) => row(`top-k, ${finer}× finer`, topK(finer))),
    ...FINER.map((finer) => row(`XMoE, ${finer}× finer`, xmoe(finer))),
  ];
  return Object.fromEntries(rows.map((one) => [one.label, one]));
}

function claimsOf(setting: Setting, rows: Record<string, Row>): Claim[] {
  const claim = (text: string, row: string, than: string): Claim => ({ text: `${text} (${setting.title})`, row: rows[row]!, than: rows[than]!, expect: 'better' });
  return [
    claim('A mixture of experts is better than the dense model of equal FLOPs', 'Switch', 'dense'),
    claim('XMoE is better than Switch at equal FLOPs', 'XMoE, 8× finer', 'Switch'),
    claim('Finer experts are better', 'XMoE, 8× finer', 'XMoE, 2× finer'),
    claim('Choosing by threshold is better than top-k at the same experts', 'XMoE, 2× finer', 'top-k, 2× finer'),
    claim('Choosing by threshold is better than top-k at the same experts', 'XMoE, 4× finer', 'top-k, 4× finer'),
    claim('Choosing by threshold is better than top-k at the same experts', 'XMoE, 8× finer', 'top-k, 8× finer'),
  ];
}

export function table1(settings: readonly Setting[]): Experiment {
  const groups = settings.map((setting) => ({ setting, rows: table1Rows(setting) }));
  return {
    name: 'table1',
    title: 'Table 1: the methods at equal FLOPs',
    question: 'Which way to use the same FLOPs of training in the expert layers gives the lowest perplexity? Trained with capacity, as in the paper; scored with nothing dropped, so that nothing leaks, and beside it with the capacity of training.',
    groups: groups.map(({ setting, rows }) => ({ title: setting.title, rows: Object.values(rows), baseline: rows['Switch']! })),
    claims: groups.flatMap(({ setting, rows }) => claimsOf(setting, rows)),
  };
}

// Which router at equal executed FLOPs: dropless, leak-free, at 1×, 0.5× and 0.25× of the dense layer's FLOPs. A router that is new to the
// table of @xmoe/routers is a line here.
import type { Claim, Experiment, Row, RowGroup } from '@xmoe/program/experiments';
import { denseArm, expertArm, type ExpertFacts, type Setting } from './settings.js';
import { LEAK_FREE } from './table1.js';

/** Experts of a quarter of the dense layer: as many per token as the dense layer costs. */
const FINER = 4;
const SHARES = [1, 0.5, 0.25];

type Contestant = readonly [label: string, facts: (perToken: number) => Omit<ExpertFacts, 'finer'>];

/** At so many experts per token. */
const CONTESTANTS: readonly Contestant[] = [
  ['top-k, balanced', (k) => ({ router: { type: 'topk', k }, dispatch: 'grouped' })],
  ['top-k, no balance loss', (k) => ({ router: { type: 'topk', k }, dispatch: 'grouped', more: { balanceCoefficient: 0 } })],
  ['top-k, weights divided by their sum', (k) => ({ router: { type: 'topk', k, renormalize: true }, dispatch: 'grouped' })],
  ['XMoE, budget', () => ({ router: { type: 'threshold', threshold: 0.9 }, dispatch: 'budget' })],
  ['controlled threshold', (target) => ({ router: { type: 'controlled-threshold', target }, dispatch: 'grouped' })],
  ['top-k with a bias by quantiles', (k) => ({ router: { type: 'quantile', k }, dispatch: 'grouped' })],
  ['top-k with a bias by signs', (k) => ({ router: { type: 'sign-bias', k }, dispatch: 'grouped' })],
  ['expert threshold, weights divided by their sum', (k) => ({ router: { type: 'expert-threshold', k, renormalize: true }, dispatch: 'grouped', more: { balanceCoefficient: 0 } })],
  ['controlled threshold, weights divided by their sum', (target) => ({ router: { type: 'controlled-threshold', target, renormalize: true }, dispatch: 'grouped' })],
];

function groupOf(setting: Setting, share: number): RowGroup & { rows: Row[] } {
  const perToken = FINER * share;
  const experts = CONTESTANTS.map(([label, facts]): Row => ({
    label, arm: expertArm(setting, { capacityFactor: perToken, ...facts(perToken), finer: FINER }),
    // A budget in training is none in use: it is used with as many experts as it was trained for.
    point: label === 'XMoE, budget' ? { topK: perToken } : LEAK_FREE,
  }));
  const dense: Row = { label: share === 1 ? 'dense' : `dense of ${share} of the size`, arm: denseArm(setting, share), point: LEAK_FREE };
  return {
    title: `${share}× of the dense FLOPs, ${setting.title}`,
    note: 'XMoE by budget is used with top-k here, since its threshold would execute more than it trained with.',
    rows: [dense, ...experts], baseline: experts[0]!,
  };
}

function claimsOf({ rows, title }: RowGroup, whole: RowGroup): Claim[] {
  const at = (group: RowGroup, label: string): Row => group.rows.find((row) => row.label === label)!;
  const controlled = at({ title, rows }, 'controlled threshold, weights divided by their sum');
  return [
    { text: `A controlled threshold is better than dropless top-k at equal executed FLOPs (${title})`, row: controlled, than: at({ title, rows }, 'top-k, balanced'), expect: 'better' },
    { text: `XMoE by budget is better than dropless top-k at equal executed FLOPs (${title})`, row: at({ title, rows }, 'XMoE, budget'), than: at({ title, rows }, 'top-k, balanced'), expect: 'better' },
    ...(whole.title === title ? [] : [{ text: `A controlled threshold equals top-k at the FLOPs of the dense layer with less (${title})`, row: controlled, than: at(whole, 'top-k, balanced'), expect: 'no worse' as const }]),
  ];
}

export function routers(settings: readonly Setting[]): Experiment {
  const groups = settings.flatMap((setting) => {
    const own = SHARES.map((share) => groupOf(setting, share));
    return own.map((group) => ({ group, claims: claimsOf(group, own[0]!) }));
  });
  return {
    name: 'routers',
    title: 'Which router at equal executed FLOPs',
    question: 'Nothing dropped and nothing leaking in training and in use, and what the experts execute the same in both: which router gives the lowest loss?',
    groups: groups.map(({ group }) => group),
    claims: groups.flatMap(({ claims }) => claims),
    columns: ['perplexity', 'wantedTraining', 'executedTraining', 'wantedEvaluation', 'executedEvaluation', 'loadEvaluation', 'processorSeconds', 'trainingSeconds'],
  };
}

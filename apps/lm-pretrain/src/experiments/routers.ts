// Which router at equal executed FLOPs: dropless, leak-free, at 1×, 0.5× and 0.25× of the dense layer's FLOPs. A router that is new to the
// table of @xmoe/routers is a line here.
import type { JsonObject } from '@xmoe/files';
import type { Claim, Experiment, Row, RowGroup } from '@xmoe/program/experiments';
import type { EvaluationPoint } from '../evaluation-points.js';
import { speedUps } from './effective-speed-up.js';
import { denseArm, expertArm, type ExpertFacts, type Setting } from './settings.js';
import { LEAK_FREE, LEAK_FREE_COLUMNS } from './table1.js';

/** Experts of a quarter of the dense layer: as many per token as the dense layer costs. */
const FINER = 4;
const SHARES = [1, 0.5, 0.25];

interface Contestant {
  readonly label: string;
  /** At so many experts per token. */
  readonly facts: (perToken: number) => Omit<ExpertFacts, 'finer'>;
  /** How it is used. Default: by its own rule. */
  readonly point?: (perToken: number) => EvaluationPoint;
}

/** A budget in training is none in use, where nothing is dropped: it is used with as many experts as it was trained for. */
const fixed = (topK: number): EvaluationPoint => ({ topK });
/** The same on average, by the threshold that gives so many on validation text. */
const onAverage = (perToken: number): EvaluationPoint => ({ perToken });

const topK = (k: number): Omit<ExpertFacts, 'finer'> => ({ router: { type: 'topk', k }, dispatch: 'grouped' });
const renormalized = (k: number): Omit<ExpertFacts, 'finer'> => ({ router: { type: 'topk', k, renormalize: true }, dispatch: 'grouped' });
const budget = (threshold: number, more: JsonObject): Omit<ExpertFacts, 'finer'> => ({ router: { type: 'threshold', threshold }, dispatch: 'budget', more });
/** Null experts as many as experts, and twice the choices: as many are free as are paid. */
const withNulls = (target: number, renormalize: boolean): Omit<ExpertFacts, 'finer'> => ({ router: { type: 'null-experts', k: 2 * target, target, ...(renormalize ? { renormalize } : {}) }, dispatch: 'grouped' });

const CONTESTANTS: readonly Contestant[] = [
  { label: 'top-k, balanced', facts: topK },
  { label: 'top-k, no balance loss', facts: (k) => ({ ...topK(k), more: { balanceCoefficient: 0 } }) },
  { label: 'top-k, weights divided by their sum', facts: renormalized },
  { label: 'top-k, weights divided by their sum; used by threshold', facts: renormalized, point: onAverage },
  { label: 'XMoE, budget', facts: () => ({ router: { type: 'threshold', threshold: 0.9 }, dispatch: 'budget' }), point: fixed },
  { label: 'XMoE, budget by probability; used by threshold', facts: () => budget(0.9, { priority: 'probability' }), point: onAverage },
  { label: 'SeqTopK: a budget by probability of each sequence; used by threshold', facts: () => budget(1, { priority: 'probability', pool: 'sequence' }), point: onAverage },
  { label: 'controlled threshold', facts: (target) => ({ router: { type: 'controlled-threshold', target }, dispatch: 'grouped' }) },
  { label: 'controlled threshold, weights divided by their sum', facts: (target) => ({ router: { type: 'controlled-threshold', target, renormalize: true }, dispatch: 'grouped' }) },
  {
    label: 'controlled threshold by quantile, weights divided by their sum',
    facts: (target) => ({ router: { type: 'controlled-threshold', target, rule: 'quantile', renormalize: true }, dispatch: 'grouped' }),
  },
  { label: 'null experts', facts: (target) => withNulls(target, false) },
  { label: 'null experts, weights divided by their sum', facts: (target) => withNulls(target, true) },
  { label: 'top-k with a bias by quantiles', facts: (k) => ({ router: { type: 'quantile', k }, dispatch: 'grouped' }) },
  { label: 'top-k with a bias by signs', facts: (k) => ({ router: { type: 'sign-bias', k }, dispatch: 'grouped' }) },
  { label: 'expert threshold, weights divided by their sum', facts: (k) => ({ router: { type: 'expert-threshold', k, renormalize: true }, dispatch: 'grouped', more: { balanceCoefficient: 0 } }) },
];

/** As others train it: biases instead of a loss, and of the experts one that every token takes. */
function sharedRow(setting: Setting, perToken: number): Row {
  const more = { sharedHidden: setting.size.model.hidden / FINER };
  const arm = expertArm(setting, { router: { type: 'quantile', k: perToken - 1 }, dispatch: 'grouped', capacityFactor: perToken - 1, finer: FINER, more });
  return { label: 'top-k with a bias by quantiles, one of the experts shared by all tokens', arm, point: LEAK_FREE };
}

/** An update in parts, where it makes a difference over which tokens the balance loss counts. */
const PARTS = 4;

function balanceRows(setting: Setting, perToken: number): Row[] {
  const { batchSize } = setting.train as { batchSize: number };
  const parts = { ...setting, train: { ...setting.train, batchSize: batchSize / PARTS, accumulation: PARTS } };
  const row = (label: string, more: JsonObject): Row => ({ label, arm: expertArm(parts, { ...topK(perToken), capacityFactor: perToken, finer: FINER, more }), point: LEAK_FREE });
  return [row(`top-k, balanced within each of ${PARTS} micro-batches`, {}), row('top-k, balanced over the update', { balanceOver: 'update' })];
}

/** The baseline with half of the steps, with its own schedule: what a longer training is worth. */
function halfRow(setting: Setting): Row {
  const { steps, warmupSteps } = setting.train as { steps: number; warmupSteps: number };
  const shorter = { ...setting, train: { ...setting.train, steps: Math.ceil(steps / 2), warmupSteps: Math.ceil(warmupSteps / 2) } };
  return { label: 'top-k, balanced, half of the steps', arm: expertArm(shorter, { ...topK(FINER), capacityFactor: FINER, finer: FINER }), point: LEAK_FREE };
}

function groupOf(setting: Setting, share: number): RowGroup & { rows: Row[] } {
  const perToken = FINER * share;
  const experts = CONTESTANTS.map(({ label, facts, point }): Row => ({
    label, arm: expertArm(setting, { capacityFactor: perToken, ...facts(perToken), finer: FINER }), point: point?.(perToken) ?? LEAK_FREE,
  }));
  const dense: Row = { label: share === 1 ? 'dense' : `dense of ${share} of the size`, arm: denseArm(setting, share), point: LEAK_FREE };
  return {
    title: `${share}× of the dense FLOPs, ${setting.title}`,
    note: 'XMoE by budget is used with top-k here, since its own threshold would execute more than it trained with; “used by threshold” is by the one that gives as many experts per token on validation text.',
    rows: [dense, ...experts, ...(share === 1 ? [sharedRow(setting, perToken), ...balanceRows(setting, perToken), halfRow(setting)] : [])], baseline: experts[0]!,
  };
}

/** What is to be better than dropless top-k at the same cost. */
const HOPES: readonly (readonly [text: string, label: string])[] = [
  ['A controlled threshold', 'controlled threshold, weights divided by their sum'],
  ['XMoE by budget', 'XMoE, budget'],
  ['A budget by probability', 'XMoE, budget by probability; used by threshold'],
  ['Top-k with null experts', 'null experts, weights divided by their sum'],
];

function claimsOf({ rows, title }: RowGroup, whole: RowGroup): Claim[] {
  const at = (group: RowGroup, label: string): Row => group.rows.find((row) => row.label === label)!;
  const own = (label: string): Row => at({ title, rows }, label);
  const [baseline, summed] = [own('top-k, balanced'), own('top-k, weights divided by their sum')];
  return [
    ...HOPES.map(([text, label]): Claim => ({
      text: `${text} is better than dropless top-k at equal executed FLOPs (${title})`, row: own(label), than: label.endsWith('divided by their sum') ? summed : baseline, expect: 'better',
    })),
    ...(whole.title === title ? [] : [{
      text: `A controlled threshold equals top-k at the FLOPs of the dense layer with less (${title})`, row: own(HOPES[0]![1]), than: at(whole, 'top-k, weights divided by their sum'), expect: 'no worse' as const,
    }]),
  ];
}

export function routers(settings: readonly Setting[]): Experiment {
  const groups = settings.flatMap((setting) => {
    const own = SHARES.map((share) => groupOf(setting, share));
    const [whole] = own as [RowGroup & { rows: Row[] }];
    const facts = { baseline: whole.baseline!, half: whole.rows.at(-1)! };
    return own.map((group) => ({ group, claims: claimsOf(group, whole), speed: { title: group.title, rows: group.rows, ...facts } }));
  });
  return {
    name: 'routers',
    title: 'Which router at equal executed FLOPs',
    question: 'Nothing dropped and nothing leaking in training and in use, and what the experts execute the same in both: which router gives the lowest loss?',
    groups: groups.map(({ group }) => group),
    claims: groups.flatMap(({ claims }) => claims),
    derived: speedUps(groups.map(({ speed }) => speed)),
    columns: LEAK_FREE_COLUMNS,
  };
}

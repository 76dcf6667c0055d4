// What holds the load of top-k, taken apart: a loss, a bias or nothing, with scores of a softmax and of sigmoids; and the rules that choose
// how many experts a token takes, beside the best of them. At the FLOPs of the dense layer, nothing dropped, on every corpus of the first size.
import type { Claim, Experiment, Row, RowGroup } from '@xmoe/program/experiments';
import { denseArm, expertArm, type ExpertFacts, type Setting } from './settings.js';
import { LEAK_FREE, LEAK_FREE_COLUMNS } from './table1.js';

/** Experts of a quarter of the dense layer, four for each token. */
const FINER = 4;

type Balanced = Pick<ExpertFacts, 'router' | 'more'> & Pick<Row, 'label'>;
const NO_LOSS = { balanceCoefficient: 0 };

/** Routers with biases and expert thresholds divide weights by their sum unless told otherwise; top-k and controlled thresholds where told. */
const ARMS = {
  usual: { label: 'top-k, balanced by a loss', router: { type: 'topk', k: FINER } },
  loss: { label: 'top-k, balanced by a loss, weights divided by their sum', router: { type: 'topk', k: FINER, renormalize: true } },
  nothing: { label: 'top-k, not balanced', router: { type: 'topk', k: FINER, renormalize: true }, more: NO_LOSS },
  sigmoids: { label: 'top-k of sigmoids, not balanced', router: { type: 'sign-bias', k: FINER, rate: 0 } },
  signsOfSoftmax: { label: 'top-k, balanced by a bias by signs', router: { type: 'sign-bias', k: FINER, scores: 'softmax' } },
  signs: { label: 'top-k of sigmoids, balanced by a bias by signs', router: { type: 'sign-bias', k: FINER } },
  quantiles: { label: 'top-k of sigmoids, balanced by a bias by quantiles', router: { type: 'quantile', k: FINER } },
  cutoffs: { label: 'expert threshold, of sigmoids', router: { type: 'expert-threshold', k: FINER, renormalize: true }, more: NO_LOSS },
  controlled: { label: 'controlled threshold, balanced by a loss', router: { type: 'controlled-threshold', target: FINER, renormalize: true } },
} satisfies Record<string, Balanced>;

type Name = keyof typeof ARMS;

function groupOf(setting: Setting): { group: RowGroup; claims: Claim[] } {
  const row = ({ label, ...facts }: Balanced): Row => ({ label, arm: expertArm(setting, { finer: FINER, dispatch: 'grouped', ...facts }), point: LEAK_FREE });
  const rows = Object.fromEntries(Object.entries(ARMS).map(([name, arm]) => [name, row(arm)])) as Record<Name, Row>;
  const better = (text: string, one: Name, than: Name): Claim => ({ text: `${text} (${setting.title})`, row: rows[one], than: rows[than], expect: 'better' });
  return {
    group: {
      title: setting.title, note: 'Weights are divided by their sum in all rows but the first two.',
      rows: [{ label: 'dense', arm: denseArm(setting), point: LEAK_FREE }, ...Object.values(rows)], baseline: rows.usual,
    },
    claims: [
      better('A bias by quantiles is better than a balance loss', 'quantiles', 'usual'),
      better('A bias by signs is better than a balance loss', 'signs', 'usual'),
      better('A bias by signs is better than a balance loss where both divide weights', 'signs', 'loss'),
      better('It is so with scores of a softmax too', 'signsOfSoftmax', 'loss'),
      better('Sigmoids are better than a softmax where nothing balances', 'sigmoids', 'nothing'),
      better('A bias by signs is better than no balancing', 'signs', 'sigmoids'),
      better('An expert threshold is better than a balance loss', 'cutoffs', 'usual'),
      better('A controlled threshold is better than a bias by signs', 'controlled', 'signs'),
    ],
  };
}

export function balance(settings: readonly Setting[]): Experiment {
  const groups = settings.map(groupOf);
  return {
    name: 'balance',
    title: 'By a loss or by a bias',
    question: 'What is top-k with a bias worth beside top-k with a balance loss at the same FLOPs, nothing dropped: is it the bias, the sigmoids or the weights divided by their sum?',
    groups: groups.map(({ group }) => group),
    claims: groups.flatMap(({ claims }) => claims),
    columns: LEAK_FREE_COLUMNS,
  };
}

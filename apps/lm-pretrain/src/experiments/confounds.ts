// What the published comparison mixes up, taken apart: each an arm with its difference. All on the first size and the first corpus.
import type { Experiment, Row } from '@xmoe/program/experiments';
import { expertArm, type ExpertFacts, type Setting } from './settings.js';
import { LEAK_FREE, table1Rows, topK, xmoe } from './table1.js';

const FINER = 4;
const AS_TRAINED = { dispatch: 'trained' };

export function confounds(setting: Setting): Experiment {
  const row = (label: string, facts: ExpertFacts, point = LEAK_FREE): Row => ({ label, arm: expertArm(setting, facts), point });
  const used = (label: string, { arm }: Row): Row => ({ label, arm, point: { noise: true } });
  const [fixed, adaptive] = [topK(FINER), xmoe(FINER)];
  const ofTopK = [
    row('top-4, padded', fixed),
    row('top-4, ranks 2 … k drawn with noise', { ...fixed, router: { type: 'topk', k: FINER, noise: true } }),
    row('top-4, priority by rank alone', { ...fixed, router: { type: 'topk', k: FINER, rankOnlyPriority: true } }),
    row('top-4, both, as published', { ...fixed, router: { type: 'topk', k: FINER, noise: true, rankOnlyPriority: true } }),
    row('top-4, grouped: nothing dropped', { ...fixed, dispatch: 'grouped' }),
    row('top-4, budget', { ...fixed, dispatch: 'budget' }),
  ];
  ofTopK.push(used('top-4, noise in use too', ofTopK[1]!), used('top-4, both, noise in use too, as published', ofTopK[3]!));
  const ofXmoe = [
    row('XMoE, padded', adaptive),
    row('XMoE, experts begin as copies, as published', { ...adaptive, more: { init: 'copy' } }),
    row('XMoE, grouped: nothing dropped', { ...adaptive, dispatch: 'grouped' }),
    row('XMoE, budget', { ...adaptive, dispatch: 'budget' }),
  ];
  const table = table1Rows(setting);
  const evaluated = ['Switch', 'Hash', 'BASE', 'top-k, 4× finer', 'XMoE, 4× finer'].flatMap((label) => [
    { label: `${label}, with drops (leaks)`, arm: table[label]!.arm, point: AS_TRAINED }, { label: `${label}, nothing dropped`, arm: table[label]!.arm, point: LEAK_FREE },
  ]);
  const better = (text: string, one: Row, than: Row) => ({ text: `${text} (our question)`, row: one, than, expect: 'better' as const });
  return {
    name: 'confounds',
    title: 'What the comparison mixes up',
    question: 'The published baseline draws the ranks 2 … k with noise and gives priority by rank alone; its experts begin as copies; all are scored with capacity, which drops differently and leaks. What is each worth?',
    groups: [
      { title: `top-k, ${setting.title}`, rows: ofTopK, baseline: ofTopK[0]! },
      { title: `XMoE, ${setting.title}`, rows: ofXmoe, baseline: ofXmoe[0]! },
      { title: `scored with and without drops, ${setting.title}`, rows: evaluated },
    ],
    claims: [
      better('Top-k without noise and with priority by p is a better baseline than the published one', ofTopK[0]!, ofTopK[7]!),
      better('A model trained with noise is better used without it', ofTopK[1]!, ofTopK[6]!),
      better('Top-k that drops nothing in training is better than padded top-k', ofTopK[4]!, ofTopK[0]!),
      better('XMoE is better than top-k that drops nothing', ofXmoe[0]!, ofTopK[4]!),
      better('Independent experts are better than copies', ofXmoe[0]!, ofXmoe[1]!),
      better('XMoE by budget is better than padded', ofXmoe[3]!, ofXmoe[0]!),
    ],
  };
}

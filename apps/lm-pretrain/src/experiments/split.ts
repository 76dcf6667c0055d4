// A dense model that was trained as one and is split (Section 3.6): the last rows of Table 2. How little of it has to be computed, by what is
// learned after the split. Its runs begin with the weights of the dense model of the same seed.
import type { Experiment, Row } from '@xmoe/program/experiments';
import { denseArm, taughtArm, type Learned, type Setting } from './settings.js';
import { LEAK_FREE } from './table1.js';

const PARTS = 16;

/** Ways to go on with a trained dense model. */
const LESSONS: readonly (Learned & { readonly title: string })[] = [
  { trained: 'router', recipe: 'distill', title: 'router by distillation, the rest frozen' },
  { trained: 'all', recipe: 'distill', title: 'router by distillation, all trained' },
  { trained: 'router', recipe: 'paper', title: 'router by the model’s loss, the rest frozen' },
  { trained: 'all', recipe: 'paper', title: 'all by the model’s loss' },
];

const THRESHOLDS = [1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4];

export function split(setting: Setting): Experiment {
  const dense: Row = { label: 'dense', arm: denseArm(setting), point: LEAK_FREE };
  const byLesson = LESSONS.map(({ title, ...learned }): Row[] => {
    const arm = taughtArm(setting, PARTS, learned);
    return THRESHOLDS.map((threshold) => ({ label: `${title}, t = ${threshold}`, arm, point: { threshold } }));
  });
  const [distilled, , paper] = byLesson as [Row[], Row[], Row[]];
  return {
    name: 'split',
    title: 'A trained dense model as XMoE (Table 2, Section 3.6)',
    question: `Each begins with the dense model of the same seed, split exactly into ${PARTS} parts, and trains for a twentieth of its steps. What t is worth differs between them: compare rows of equal FLOPs.`,
    groups: [{ title: `${PARTS} parts, ${setting.title}`, rows: [dense, ...byLesson.flat()], baseline: dense }],
    claims: [
      { text: 'With all experts a frozen model with a distilled router is the dense one', row: distilled[0]!, than: dense, expect: 'no worse' },
      { text: 'A frozen model is better used at t = 0.7 by a distilled router than by one of the model’s loss, at fewer FLOPs (our question)', row: distilled[3]!, than: paper[3]!, expect: 'no worse', within: 0.02 },
    ],
    columns: ['perplexity', 'executedTraining', 'wantedEvaluation', 'keptEvaluation', 'executedEvaluation', 'loadEvaluation'],
  };
}

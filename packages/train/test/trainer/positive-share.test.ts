// The share of positive hidden units, from layers that count them to rows of routing; others leave no trace of it.
import { expect, it } from 'vitest';
import { mergeRouting, type LayerRouting } from '../../src/trainer/layer-routing.js';
import { stepRows } from '../../src/trainer/run-outputs.js';
import type { StepReport } from '../../src/trainer/trainer.js';

const figures: LayerRouting = { tokens: 4, expertsPerToken: 2, keptPerToken: 1, dropRate: 0.5, load: [1], budgetedFlops: 1, executedFlops: 1 };
const rowOf = (summaries: readonly LayerRouting[]) =>
  stepRows({ step: 1, skippedUpdates: 0, routing: summaries.map((summary, at) => ({ layer: `h.${at}`, summary })) } as unknown as StepReport, { seconds: 1 }, 1).find(({ kind }) => kind === 'routing');

it('batches count by the claims they kept', () => {
  const merged = mergeRouting([{ ...figures, positiveShare: 0.5 }, { ...figures, keptPerToken: 3, positiveShare: 0.1 }]);
  expect(merged.positiveShare).toBeCloseTo((0.5 * 4 + 0.1 * 12) / 16, 12);
  expect(mergeRouting([figures, { ...figures, positiveShare: 0.1 }])).not.toHaveProperty('positiveShare');
});

it('rows say it by layer', () => {
  expect(rowOf([{ ...figures, positiveShare: 0.5 }, { ...figures, positiveShare: 0.25 }])).toMatchObject({ positiveShare: [0.5, 0.25] });
  expect(rowOf([figures])).not.toHaveProperty('positiveShare');
});

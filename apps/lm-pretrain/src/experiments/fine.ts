// Experts down to a single hidden unit: what the finest of them are worth at the same FLOPs of experts. What they cost in time is in the benchmarks.
import type { Claim, Experiment, Row } from '@xmoe/program/experiments';
import { expertArm, type Setting } from './settings.js';
import { LEAK_FREE, LEAK_FREE_COLUMNS } from './table1.js';

/** Experts of the finest arm at most: beyond it the gate is most of the work. */
const MOST_FINER = 512;

export function fine(setting: Setting): Experiment {
  const { hidden } = setting.size.model;
  const finest = Math.min(hidden, MOST_FINER);
  const rows = [1, 8, finest / 4, finest].map((finer): Row => {
    const size = hidden / finer;
    const arm = expertArm(setting, { finer, router: { type: 'topk', k: finer }, dispatch: 'grouped' });
    return { label: `${8 * finer} experts of ${size} hidden ${size === 1 ? 'unit' : 'units'}, top-${finer}`, arm, point: LEAK_FREE };
  });
  const [coarse, usual, small, single] = rows as [Row, Row, Row, Row];
  const claim = (text: string, row: Row, than: Row): Claim => ({ text: `${text} (${setting.title})`, row, than, expect: 'better' });
  return {
    name: 'fine',
    title: 'Experts down to size 1',
    question: 'The paper calls experts of a single hidden unit unfeasible, in time. Are they worth it: is finer better down to the end, at equal FLOPs of experts, with nothing dropped? The gate, which is not counted, grows with the number of experts.',
    groups: [{ title: setting.title, rows, baseline: coarse }],
    claims: [claim('Experts 8 times finer are better than those of the dense layer’s size', usual, coarse), claim('Still finer ones are better than those', small, usual), claim('And the finest are the best', single, small)],
    columns: LEAK_FREE_COLUMNS,
  };
}

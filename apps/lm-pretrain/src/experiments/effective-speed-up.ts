// Effective speed-up by wall-clock: how much longer the baseline would have to train to be as good, over how much longer each of its tokens takes
// to be trained on. How a longer training helps is measured, by the baseline trained with half of the steps.
import type { JsonObject } from '@xmoe/files';
import type { Derived, Results, Row } from '@xmoe/program/experiments';

export interface SpeedUpGroup {
  readonly title: string;
  readonly rows: readonly Row[];
  readonly baseline: Row;
  /** The baseline with half of the steps. */
  readonly half: Row;
}

interface Measured {
  readonly loss: number;
  readonly seconds: number;
}

/** Loss, and processor seconds of training: less than wall-clock they depend on what else the machine did. Means over seeds that have both. */
function meansOf(results: Results, row: Row): Measured | undefined {
  const known = results.figures(row).flatMap((figures) => (figures?.loss !== undefined && figures.processorSeconds !== undefined ? [{ loss: figures.loss, seconds: figures.processorSeconds }] : []));
  if (known.length === 0) return undefined;
  const mean = (key: keyof Measured): number => known.reduce((sum, one) => sum + one[key], 0) / known.length;
  return { loss: mean('loss'), seconds: mean('seconds') };
}

/** exp((loss of the baseline − own) / nats per e-fold of training) · seconds of the baseline / own. 1 for the baseline itself. */
export function effectiveSpeedUp(own: Measured, baseline: Measured, half: Measured): number | null {
  const natsPerFold = (half.loss - baseline.loss) / Math.LN2;
  return natsPerFold > 0 ? (Math.exp((baseline.loss - own.loss) / natsPerFold) * baseline.seconds) / own.seconds : null;
}

export function speedUps(groups: readonly SpeedUpGroup[]): Derived {
  return {
    measure: (results) => ({
      effectiveSpeedUp: groups.flatMap(({ title, rows, baseline, half }): JsonObject[] => {
        const [whole, shorter] = [meansOf(results, baseline), meansOf(results, half)];
        if (!whole || !shorter) return [];
        return rows.flatMap((row): JsonObject[] => {
          const own = meansOf(results, row);
          const speedUp = own && effectiveSpeedUp(own, whole, shorter);
          return own && speedUp ? [{ group: title, label: row.label, speedUp, time: own.seconds / whole.seconds, natsBetter: whole.loss - own.loss }] : [];
        });
      }),
    }),
    show: (measured) => ({
      columns: [{ title: '' }, { title: '' }, { title: 'effective speed-up', numeric: true }, { title: 'time of a step', numeric: true }, { title: 'nats better', numeric: true }],
      rows: (measured.effectiveSpeedUp as { group: string; label: string; speedUp: number; time: number; natsBetter: number }[])
        .map(({ group, label, speedUp, time, natsBetter }) => [group, label, speedUp.toFixed(2), time.toFixed(2), natsBetter.toFixed(4)]),
      sentences: [
        'Effective speed-up: how many times as long the baseline would have to train to reach the same loss, over how many times as long a step takes, by processor time on this machine. The first from what half of the steps cost the baseline, taken as '
        + 'nats per doubling; beyond a doubling it is a guess. Where losses differ by less than their noise it says nothing but the time.',
      ],
      charts: [],
    }),
  };
}

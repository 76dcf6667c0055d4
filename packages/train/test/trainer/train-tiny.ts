// Some updates of the tiny model and what is left of them, for comparing ranks with each other and with a process alone. Not a test.
import type { Comm } from '@xmoe/distributed';
import type { Reduction } from '../../src/trainer/reduction.js';
import type { StepReport } from '../../src/trainer/trainer.js';
import { batchAt, snapshot, tinyTrainer, type TinyOptions } from './tiny-run.js';

export interface Trained {
  weights: Record<string, number[]>;
  reports: StepReport[];
}

export interface TrainTinyOptions extends TinyOptions {
  microBatches?: number;
  steps?: number;
  reduction?: Reduction;
}

export async function trainTiny(comm: Comm | undefined, { microBatches = 8, steps = 3, ...options }: TrainTinyOptions): Promise<Trained> {
  const { trainer, engine } = tinyTrainer({ sequences: 1, ...options, comm });
  const reports: StepReport[] = [];
  for (let step = 0; step < steps; step++) {
    // A micro-batch with fewer targets than the others: each counts by its own.
    const batches = Array.from({ length: microBatches }, (_, index) => batchAt(step * microBatches + index, 1, (position) => index !== 2 || position < 2));
    reports.push(await trainer.step(batches, { collectRouting: step % 2 === 0 }));
  }
  const weights = await snapshot(trainer);
  trainer.dispose();
  engine.dispose();
  return { weights, reports };
}

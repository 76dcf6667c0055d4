// What a backend does about its matrix products when it is made and on request: check, remember, measure. Not the kernels' matter.
import type { TuneReport } from '@xmoe/core';
import type { CheckedBackend } from './check-matrices.js';
import { createChoiceStore } from './choice-store.js';
import { startShapes } from './start-shapes.js';
import { TRUST_ENTRY, trustMatrices } from './trust.js';
import { tune, type TunedBackend } from './tune.js';

/** `auto`: on hardware adapters. `off`: nothing is measured nor remembered. `force`: on software adapters too. */
export type TuningMode = 'auto' | 'off' | 'force';

/** At the start; what is left goes on at the next start. */
const START_MILLISECONDS = 1000;

export interface Tuning {
  /** Whether anything is measured. */
  readonly active: boolean;
  /** Checks subgroup matrices unless that was done before, then reads what is known about the adapter and measures for a second what is not. What to say about it. */
  start(): Promise<readonly string[]>;
  /** Measures the classes of products that kernels have asked for so far, until the time is over, and remembers the choices. Where the mode says so. */
  tuneWanted(milliseconds: number): Promise<TuneReport>;
}

export function createTuning(backend: TunedBackend & CheckedBackend, mode: TuningMode): Tuning {
  const { tilings, traits } = backend;
  const active = mode === 'force' || (mode === 'auto' && !traits.software);
  const store = createChoiceStore(traits.label);

  async function measure(shapes: Parameters<typeof tune>[1], milliseconds: number): Promise<TuneReport> {
    const report = await tune(backend, shapes, milliseconds);
    if (report.measured > 0) await store.save(Object.fromEntries(tilings.chosen));
    return report;
  }

  let busy = false;
  return {
    active,
    async start() {
      const notes = await trustMatrices(backend, active ? store : null);
      if (active) {
        const { [TRUST_ENTRY]: _trust, ...choices } = await store.load();
        for (const [key, name] of Object.entries(choices)) tilings.chosen.set(key, name);
        await measure(startShapes(traits), START_MILLISECONDS);
        tilings.wanted.clear();
      }
      return notes;
    },
    async tuneWanted(milliseconds) {
      if (!active) return { measured: 0, left: 0 };
      // Two measurements at once would time each other.
      if (busy) return { measured: 0, left: tilings.wanted.size };
      busy = true;
      try {
        return await measure([...tilings.wanted.values()], milliseconds);
      } finally {
        busy = false;
      }
    },
  };
}

// What a run directory holds, for comparing runs. Reads only.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface MetricsOfStep {
  kind: string;
  step: number;
  loss?: number;
  gradientNorm?: number;
  learningRate?: number;
  skippedUpdates?: number;
  scores?: Record<string, number>;
}

/** The rows of a run's metrics; a line that is being written is left out. */
export function metricsOf(run: string): MetricsOfStep[] {
  const path = join(run, 'metrics.jsonl');
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8').split('\n').slice(0, -1).map((line) => JSON.parse(line) as MetricsOfStep);
}

/** The last step that a run's metrics tell of. */
export const lastStep = (run: string): number => metricsOf(run).findLast(({ kind }) => kind === 'step')?.step ?? 0;

/** Names of a run's checkpoints, oldest first. */
export function checkpointsOf(run: string): string[] {
  const directory = join(run, 'checkpoints');
  return existsSync(directory) ? readdirSync(directory).filter((name) => name.startsWith('step-')).sort() : [];
}

/** What must not depend on interruptions: hashes of the newest checkpoint's tensors, its state, and every loss and score. */
export function fingerprint(run: string) {
  const directory = join(run, 'checkpoints', checkpointsOf(run).at(-1)!);
  const manifest = JSON.parse(readFileSync(join(directory, 'manifest.json'), 'utf8')) as { files: Record<string, { sha256: string }> };
  const { state } = JSON.parse(readFileSync(join(directory, 'state.json'), 'utf8')) as { state: { trainer: object; batches: object } };
  return {
    files: ['parameters.safetensors', 'optimizer.safetensors', 'tokenizer.json'].map((name) => manifest.files[name]!.sha256),
    trainer: state.trainer,
    batches: state.batches,
    rows: metricsOf(run).map(({ kind, step, loss, gradientNorm, learningRate, scores }) => ({ kind, step, loss, gradientNorm, learningRate, scores })),
  };
}

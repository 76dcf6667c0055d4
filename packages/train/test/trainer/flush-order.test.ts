// Metrics survive a power cut up to every checkpoint: the log is flushed to the disk before the checkpoint is made.
import type * as FileSystem from 'node:fs';
import { expect, it, vi } from 'vitest';
import { runDirectory } from './run-directory.js';
import { batchSource, runTiny } from './tiny-run.js';

const events = vi.hoisted((): string[] => []);
vi.mock('node:fs', async (original) => {
  const fs = await original<typeof FileSystem>();
  return { ...fs, fsyncSync: (file: number) => (events.push('flush'), fs.fsyncSync(file)) };
});

it('flushes the metrics, then saves', async () => {
  const source = batchSource();
  // The state of the batches is asked for when a checkpoint is put together.
  await runTiny({ directory: runDirectory(), totalSteps: 6, batches: { ...source, state: () => (events.push('save'), source.state()) } });
  const order = events.filter((event, index) => event !== events[index - 1]);
  expect(order).toEqual(['flush', 'save', 'flush', 'save']);
});

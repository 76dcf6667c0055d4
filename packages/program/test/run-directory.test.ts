// Which checkpoint of a run is taken, and what is said when there is none.
import { mkdir, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, it } from 'vitest';
import { createCheckpointStore } from '@xmoe/train/node';
import { z } from 'zod';
import { loadRunCheckpoint } from '@xmoe/train/node';
import { readRunRecord, recordChanges } from '../src/run-directory.js';
import { temporaryFolder } from '@xmoe/testing/programs';

const inFolder = temporaryFolder(afterAll);
let warnings: string[];
beforeEach(() => {
  warnings = [];
});
const load = (run: string, checkpoint: string) => loadRunCheckpoint(run, { checkpoint, onWarning: (message) => warnings.push(message) });

/** Checkpoints of steps 1 to 3; the second is the best, the first the next best. */
async function saveThree(name: string): Promise<string> {
  const run = inFolder(name);
  const store = createCheckpointStore({ directory: join(run, 'checkpoints'), keepLast: 3 });
  for (const [step, metric] of [[1, 2], [2, 1], [3, 3]] as const) {
    await store.save({ step, metric, tensors: { parameters: [{ name: 'w', dtype: 'float32', shape: [1], data: Float32Array.of(step) }] }, state: {} });
  }
  return run;
}

it('best does not need best.json: damaged or gone, the manifests say which it is', async () => {
  for (const content of ['{"name": "step-0', '{}', '{"name": "../elsewhere"}', '']) {
    const run = await saveThree(`pointer-${content.length}`);
    await writeFile(join(run, 'checkpoints', 'best.json'), content);
    expect((await load(run, 'best')).step).toBe(2);
  }
  expect(warnings).toEqual([]);
});

it('best falls back to the next best when it is damaged, and says so', async () => {
  const run = await saveThree('damaged');
  const file = join(run, 'checkpoints', 'step-00000002', 'parameters.safetensors');
  const { size } = await stat(file);
  await writeFile(file, new Uint8Array(size)); // the size is right
  expect((await load(run, 'best')).step).toBe(1);
  expect(warnings).toEqual([expect.stringContaining('step-00000002 is skipped')]);
  await truncate(join(run, 'checkpoints', 'step-00000001', 'manifest.json'), 5);
  expect((await load(run, 'best')).step).toBe(3);
});

it('names the program of a run that is not its own, and what was changed on the way', async () => {
  const run = inFolder('translation');
  await mkdir(run);
  const record = { preset: 'tiny', backend: 'cpu:wasm', data: 'data', config: { model: { encoderLayers: 2 }, train: { steps: 10 } } };
  await writeFile(join(run, 'config.json'), JSON.stringify(record));
  const schema = z.object({ model: z.object({ encoderLayers: z.int() }), train: z.object({ steps: z.int() }) });
  await expect(readRunRecord(run, schema, 'xmoe-lm')).rejects.toMatchObject({ code: 'config', message: `${run} is a run of xmoe-nmt`, hint: 'use xmoe-nmt' });
  const found = await readRunRecord(run, schema, 'xmoe-nmt');
  expect(found).toEqual(record);
  await writeFile(join(run, 'config.json'), JSON.stringify({ ...record, program: 'xmoe-sums' })); // what is written down counts
  await expect(readRunRecord(run, schema, 'xmoe-nmt')).rejects.toMatchObject({ message: `${run} is a run of xmoe-sums` });
  expect(await readRunRecord(run, schema, 'xmoe-sums')).toEqual({ ...record, program: 'xmoe-sums' });
  const config = { ...record.config, train: { steps: 20 } };
  await recordChanges(run, found, { config, step: 10, stream: { write: (text) => warnings.push(text) } });
  expect(warnings).toEqual(['From step 10 on: train.steps 10 → 20\n']);
  const changed = await readRunRecord(run, schema, 'xmoe-nmt');
  expect(changed).toEqual({ ...record, config, changes: [{ step: 10, changed: { 'train.steps': ['10', '20'] } }] });
  await recordChanges(run, changed, { config, step: 12, stream: { write: () => expect.unreachable() } });
});

it('a checkpoint that is not there: the error lists those that are', async () => {
  const run = await saveThree('listed');
  await expect(load(run, 'step-9')).rejects.toMatchObject({
    code: 'checkpoint', message: 'there is no checkpoint "step-9"',
    hint: 'checkpoints there: step-00000001, step-00000002, step-00000003; also best and latest',
  });
  expect((await load(run, 'step-00000001')).step).toBe(1);
});

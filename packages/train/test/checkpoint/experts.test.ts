// The record of experts: every one is counted and compared, one that is wrong, missing or there twice is named, and what has no record is read as ever.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hashFile } from '@xmoe/files/node';
import { encodeManifest, readManifest } from '../../src/checkpoint/manifest.js';
import { writeSafetensors } from '../../src/checkpoint/safetensors-file.js';
import { createCheckpointStore } from '../../src/checkpoint/store.js';
import type { StoredTensor } from '../../src/checkpoint/tensor-format.js';

let directory: string;
beforeEach(async () => {
  directory = join(await mkdtemp(join(tmpdir(), 'xmoe-experts-')), 'checkpoints');
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const WIDTH = 3;
/** A tensor that holds these experts. */
const tensor = (name: string, experts: readonly number[]): StoredTensor => ({ name, dtype: 'float32', shape: [experts.length, WIDTH], data: Float32Array.from(experts.flatMap((expert) => [expert, 10 * expert, 0.5])) });
const other: StoredTensor = { name: 'h.0.ln_1.weight', dtype: 'float32', shape: [2], data: Float32Array.of(1, 2) };
const parameters = [tensor('h.1.moe.experts.w1', [0, 1, 2, 3]), tensor('h.1.moe.experts.b1', [0, 1, 2, 3]), other];
const optimizer = [tensor('m.h.1.moe.experts.w1', [4, 5, 6, 7])];
const store = () => createCheckpointStore({ directory, onWarning: () => undefined });
const save = async (tensors: Record<string, StoredTensor[]> = { parameters, optimizer }): Promise<string> => (await store().save({ step: 1, tensors, state: {} })).path;

/** Puts other tensors into a file of a checkpoint, as a program that loses experts would: the manifest is right. */
async function rewrite(path: string, group: string, tensors: StoredTensor[]): Promise<void> {
  await rm(join(path, `${group}.safetensors`));
  await writeSafetensors(join(path, `${group}.safetensors`), tensors);
  await renew(path, `${group}.safetensors`);
}

async function renew(path: string, file: string): Promise<void> {
  const manifest = await readManifest(path);
  await writeFile(join(path, 'manifest.json'), encodeManifest({ ...manifest, files: { ...manifest.files, [file]: await hashFile(join(path, file)) } }));
}

describe('a checkpoint with experts', () => {
  it('is what was saved, as a whole and in parts', async () => {
    const path = await save();
    expect((await store().load(path)).tensors).toEqual({ parameters: expect.arrayContaining(parameters), optimizer });
    const opened = (await store().open(path)).tensors.parameters!;
    const w1 = opened.find(({ name }) => name === 'h.1.moe.experts.w1')!;
    expect(await w1.read({ begin: 1, count: 2 })).toEqual(Float32Array.of(1, 10, 0.5, 2, 20, 0.5));
    expect(await w1.read({ begin: 4, count: 0 })).toEqual(new Float32Array());
    await expect(w1.read({ begin: 3, count: 2 })).rejects.toThrow('has no entries 3 to 5 of 4');
  });

  it.each<[string, string, StoredTensor[], string]>([
    ['wrong', 'parameters', [tensor('h.1.moe.experts.w1', [0, 1, 2.5, 3]), parameters[1]!, other], 'expert 2 of h.1.moe (w1) is not the one that was saved'],
    ['there twice', 'parameters', [parameters[0]!, tensor('h.1.moe.experts.b1', [0, 1, 1, 3]), other], 'expert 2 of h.1.moe (b1) is expert 1 once more'],
    ['missing', 'parameters', [tensor('h.1.moe.experts.w1', [0, 1, 2]), parameters[1]!, other], 'expert 3 of h.1.moe (w1) is missing: there are 3 of 4'],
    ['one too many', 'optimizer', [tensor('m.h.1.moe.experts.w1', [4, 5, 6, 7, 7])], 'expert 4 of h.1.moe (m.w1) was not saved: there are 5, and 4 were'],
    ['in a tensor that is gone', 'parameters', [parameters[0]!, other], 'expert 0 of h.1.moe (b1) is missing: there are 0 of 4'],
  ])('F34: names one that is %s', async (_, group, tensors, message) => {
    const path = await save();
    await rewrite(path, group, tensors);
    await expect(store().load(path)).rejects.toMatchObject({ code: 'checkpoint', message: expect.stringContaining(message) });
  });

  it('a part of it is compared too, and what is not read is not', async () => {
    const path = await save();
    await rewrite(path, 'parameters', [tensor('h.1.moe.experts.w1', [0, 1, 2, 9]), parameters[1]!, other]);
    const w1 = (await store().open(path)).tensors.parameters!.find(({ name }) => name === 'h.1.moe.experts.w1')!;
    expect(await w1.read({ begin: 0, count: 3 })).toHaveLength(9);
    await expect(w1.read({ begin: 3, count: 1 })).rejects.toThrow('expert 3 of h.1.moe (w1) is not the one');
  });

  it('of before there was a record is read as ever', async () => {
    const path = await save();
    const { files: { 'experts.json': _, ...files }, ...manifest } = await readManifest(path);
    await writeFile(join(path, 'manifest.json'), encodeManifest({ ...manifest, files }));
    await rm(join(path, 'experts.json'));
    expect((await store().load(path)).tensors.optimizer).toEqual(optimizer);
  });

  it('with a record of another version, or one that is none, is refused', async () => {
    const path = await save();
    const good = await readFile(join(path, 'experts.json'), 'utf8');
    for (const bad of ['', '[]', '{"version": 2, "groups": {}}', good.replace(/"[0-9a-f]{16}/, '"0')]) {
      await writeFile(join(path, 'experts.json'), bad);
      await renew(path, 'experts.json');
      await expect(store().load(path), bad).rejects.toMatchObject({ code: 'checkpoint', message: expect.stringContaining('experts.json') });
    }
  });
});

it('without experts there is no record', async () => {
  const path = await save({ parameters: [other] });
  expect(Object.keys((await readManifest(path)).files).sort()).toEqual(['parameters.safetensors', 'state.json']);
});

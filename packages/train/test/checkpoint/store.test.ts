// Saving, listing, loading, retention, and what happens when something is damaged.
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createCheckpointStore, readBestPointer, type CheckpointStoreOptions } from '../../src/checkpoint/store.js';
import type { StoredTensor } from '../../src/checkpoint/tensor-format.js';
import { encodeManifest, readManifest } from '../../src/checkpoint/manifest.js';

let directory: string;
let warnings: string[];
beforeEach(async () => {
  directory = join(await mkdtemp(join(tmpdir(), 'xmoe-store-')), 'checkpoints');
  warnings = [];
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const store = (options: Partial<CheckpointStoreOptions> = {}) =>
  createCheckpointStore({ directory, keepLast: 2, onWarning: (message) => warnings.push(message), ...options });
const weights = (value: number): StoredTensor[] => [
  { name: 'w', dtype: 'float32', shape: [2, 3], data: new Float32Array(6).fill(value) },
];
const content = (step: number) => ({
  step,
  tensors: { parameters: weights(step), optimizer: weights(-step) },
  state: { position: step * 10, keys: [1, 2] },
});
const names = async () => (await readdir(directory)).filter((name) => name.startsWith('step-')).sort();
const name = (step: number) => `step-${String(step).padStart(8, '0')}`;

describe('createCheckpointStore', () => {
  it('loads what it saved, with extra files beside it', async () => {
    const saved = await store().save({ ...content(5), metric: 1.5, files: { 'tokenizer.json': '{}' } });
    const loaded = await store().loadLatest();
    expect(loaded).toEqual({ ...content(5), path: saved.path, metric: 1.5 });
    expect(await store().load(saved.path)).toEqual(loaded);
    expect(await readFile(join(saved.path, 'tokenizer.json'), 'utf8')).toBe('{}');
    expect(warnings).toEqual([]);
  });

  it('keeps the last K and the best, and the pointer names the best', async () => {
    const s = store();
    for (const [step, metric] of [[1, 3], [2, 1], [3, 2], [4, Number.NaN], [5, 4]] as const) {
      await s.save({ ...content(step), metric });
      expect(await readBestPointer(directory)).toBe((await s.best())!.path);
    }
    expect(await names()).toEqual([name(2), name(4), name(5)]);
    expect(await s.best()).toMatchObject({ step: 2, metric: 1 });
    expect((await s.list()).map(({ step, metric }) => [step, metric])).toEqual([[2, 1], [4, null], [5, 4]]);
  });

  it('never counts NaN, infinities or nothing as best', async () => {
    const s = store({ keepLast: 1 });
    expect((await s.save({ ...content(1), metric: Number.NaN })).metric).toBe(null);
    await s.save({ ...content(2), metric: Number.NEGATIVE_INFINITY });
    await s.save({ ...content(3) });
    expect(await s.best()).toBeUndefined();
    expect(await names()).toEqual([name(3)]);
    expect(await readBestPointer(directory)).toBeUndefined();
  });

  it('a provisional one pushes nothing out, loads as the newest, and goes with the next', async () => {
    const s = store();
    for (const step of [1, 2]) await s.save(content(step));
    for (const step of [3, 4]) await s.save({ ...content(step), provisional: true });
    expect(await names()).toEqual([name(1), name(2), name(4)]);
    expect((await s.loadLatest()).step).toBe(4);
    await s.save(content(5));
    expect(await names()).toEqual([name(2), name(5)]);
  });

  it('rates one afterwards: it becomes the best, and what is then superseded goes', async () => {
    const s = store({ keepLast: 1 });
    await s.save({ ...content(1), metric: 3 });
    const { path } = await s.save(content(2));
    await s.rate(path, 2);
    expect(await names()).toEqual([name(2)]);
    expect(await readBestPointer(directory)).toBe(path);
    expect(await s.loadLatest()).toMatchObject({ step: 2, metric: 2 });
    await s.rate(path, Number.NaN);
    expect(await s.best()).toMatchObject({ metric: 2 });
    expect(await readdir(path)).not.toContainEqual(expect.stringContaining('temporary'));
  });

  it('S4: refuses a manifest that names a file elsewhere, though its hash is right', async () => {
    const s = store();
    const { path } = await s.save(content(1));
    const manifest = await readManifest(path);
    await writeFile(join(path, 'manifest.json'), encodeManifest({ ...manifest, files: { ...manifest.files, '../../evil.safetensors': manifest.files['state.json']! } }));
    await expect(s.load(path)).rejects.toMatchObject({ code: 'checkpoint', message: expect.stringContaining('cannot be a file of a checkpoint') });
  });

  it('refuses one without parameters', async () => {
    const { path } = await store().save({ ...content(1), tensors: { optimizer: weights(1) } });
    await expect(store().load(path)).rejects.toMatchObject({ code: 'checkpoint', message: `${path} has no parameters` });
  });

  it('keeps only the last K when told so', async () => {
    const s = store({ keepLast: 1, keepBest: false });
    await s.save({ ...content(1), metric: 1 });
    await s.save({ ...content(2), metric: 2 });
    expect(await names()).toEqual([name(2)]);
  });

  it.each([
    ['truncated', (path: string) => truncate(join(path, 'parameters.safetensors'), 100)],
    ['one byte changed', async (path: string) => {
      const file = join(path, 'optimizer.safetensors');
      const bytes = await readFile(file);
      bytes[bytes.length - 1]! ^= 1;
      await writeFile(file, bytes);
    }],
    ['longer', (path: string) => appendFile(join(path, 'state.json'), ' ')],
    ['without its state', (path: string) => rm(join(path, 'state.json'))],
    ['without its manifest', (path: string) => rm(join(path, 'manifest.json'))],
    ['with an edited manifest', async (path: string) => {
      const file = join(path, 'manifest.json');
      await writeFile(file, (await readFile(file, 'utf8')).replace('"step": 2', '"step": 3'));
    }],
    ['empty', async (path: string) => { await rm(path, { recursive: true }); await mkdir(path); }],
  ])('skips a checkpoint that is %s, names it, and uses the one before', async (_, damage) => {
    const s = store();
    await s.save(content(1));
    const { path } = await s.save(content(2));
    await damage(path);
    expect((await s.loadLatest()).step).toBe(1);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(path);
    await expect(s.load(path)).rejects.toMatchObject({ code: 'checkpoint' });
  });

  it('says so when none is valid and when there is none', async () => {
    await expect(store().loadLatest()).rejects.toMatchObject({ code: 'checkpoint' });
    await expect(store().loadLatest()).rejects.toThrow('holds no checkpoint');
    const { path } = await store().save(content(1));
    await rm(join(path, 'state.json'));
    await expect(store().loadLatest()).rejects.toThrow('holds no valid checkpoint: all 1 are damaged');
  });

  it('F14: after a resume from an earlier step, the newest is what was saved last; damaged ones push no good one out', async () => {
    const first = store();
    await first.save(content(10));
    const { path } = await first.save(content(20));
    const file = join(path, 'parameters.safetensors');
    const bytes = await readFile(file);
    bytes[bytes.length - 1]! ^= 1; // right size, wrong content
    await writeFile(file, bytes);
    const resumed = store();
    expect((await resumed.loadLatest()).step).toBe(10);
    await resumed.save(content(15));
    expect((await resumed.list()).map(({ step }) => step)).toEqual([10, 15]);
    expect(await names()).toEqual([name(10), name(15), name(20)]);
    await resumed.save({ ...content(20), state: { again: true } }); // the name is taken by the damaged one
    expect(await names()).toEqual([name(15), `${name(20)}-2`]);
    expect(await resumed.loadLatest()).toMatchObject({ step: 20, state: { again: true } });
  });

  it('gives the newest the highest sequence even behind a damaged one', async () => {
    await store().save(content(1));
    const { path } = await store().save(content(9));
    await truncate(join(path, 'parameters.safetensors'), 10);
    await store().save(content(2));
    expect((await store().loadLatest()).step).toBe(2);
    expect(warnings).toEqual([]);
  });

  it('refuses NaN in the state and in tensors, and leaves what was there', async () => {
    const s = store();
    await s.save(content(1));
    await expect(s.save({ ...content(2), state: { lossScale: Number.NaN } })).rejects.toThrow('state.lossScale is NaN');
    const broken = { ...content(2), tensors: { parameters: [...weights(1)] } };
    broken.tensors.parameters[0]!.data[4] = Number.NaN;
    await expect(s.save(broken)).rejects.toThrow('parameters w is not finite at element 4');
    await expect(s.save({ ...content(2), tensors: { half: [
      { name: 'h', dtype: 'float16', shape: [1], data: Uint16Array.of(0x7c00) },
    ] } })).rejects.toMatchObject({ code: 'numerics' });
    expect(await readdir(directory)).toEqual([name(1)]);
    expect((await s.save({ ...broken, allowNonFinite: true })).step).toBe(2);
    expect((await s.loadLatest()).tensors.parameters![0]!.data[4]).toBeNaN();
  });

  it('F31: refuses a state of another version and one that would reach the prototype', async () => {
    const { path } = await store().save(content(1));
    await expect(store().save({ ...content(2), state: JSON.parse('{"__proto__":{"a":1}}') })).rejects.toThrow('__proto__');
    const { decodeState } = await import('../../src/checkpoint/checkpoint-state.js');
    expect(() => decodeState('{"version":2,"step":1,"state":{}}', path)).toThrow('has version 2; this program reads 1');
    expect(() => decodeState('{"version":1,"step":1,"state":{"__proto__":1}}', path)).toThrow('"__proto__" is not allowed');
    expect(() => decodeState('{"version":1,"step":-1,"state":{}}', path)).toThrow('step');
  });

  it('leaves nothing behind when a save fails half-way', async () => {
    const s = store();
    await s.save(content(1));
    const failing = (function* () {
      yield new Uint8Array(10);
      throw new Error('the disk fell off');
    })();
    await expect(s.save({ ...content(2), files: { 'a.bin': failing } })).rejects.toThrow('the disk fell off');
    await expect(s.save({ ...content(2), files: { '../evil': 'x' } })).rejects.toThrow('"../evil" cannot be a file');
    await expect(s.save({ ...content(2), tensors: { '../evil': [] } })).rejects.toThrow('cannot name a group');
    expect(await readdir(directory)).toEqual([name(1)]);
  });

  it('removes what dead runs left, and only that', async () => {
    const { ownTag } = await import('@xmoe/files/node');
    const [pid, , host] = ownTag().split('.');
    const dead = [`.temporary-${pid}.1.${host}-0-step-00000001`, `.temporary-999999999.5.${host}-0-x`];
    const alive = [`.temporary-${ownTag()}-77-step-00000001`, '.temporary-12.5.00000000-0-x', '.temporary-odd'];
    for (const directoryName of [...dead, ...alive]) await mkdir(join(directory, directoryName), { recursive: true });
    const s = store();
    await s.loadLatest().catch(() => undefined);
    expect(await readdir(directory)).toHaveLength(5); // reading removes nothing
    await s.save(content(1));
    expect((await readdir(directory)).sort()).toEqual([...alive, name(1)].sort());
  });
});

// The loader: choosing builds, and the errors for missing, broken and GPU-less packages, with fake packages on disk.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { isXMoEError, type XMoEError } from '@xmoe/core';
import { createTfjsBackendFor, loadTfjs, shimNodeUtil } from '@xmoe/backend-tfjs/node';

const made: string[] = [];
afterEach(() => made.splice(0).forEach((directory) => rmSync(directory, { recursive: true })));

/** A project directory whose node_modules holds `name` with the given CommonJS source. */
function projectWith(name: string, source: string): string {
  const root = mkdtempSync(join(tmpdir(), 'xmoe-load-'));
  made.push(root);
  const directory = join(root, 'node_modules', name);
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'package.json'), JSON.stringify({ name, version: '4.22.0', main: 'index.js' }));
  writeFileSync(join(directory, 'index.js'), source);
  return root;
}

async function failure(promise: Promise<unknown>): Promise<XMoEError> {
  const error = await promise.then(() => new Error('nothing was thrown'), (reason: unknown) => reason);
  if (!isXMoEError(error)) throw error;
  return error;
}

/** A tfjs-node look-alike whose backend starts and reports whether it has a GPU. */
const fakeTfjsNode = (gpu: boolean): string => `
  const util = require('util');
  if (!util.isNullOrUndefined(undefined)) throw new Error('util.isNullOrUndefined is not a function');
  exports.version_core = '4.22.0';
  exports.setBackend = async () => true;
  exports.ready = async () => {};
  exports.getKernel = () => ({});
  exports.engine = () => ({ registry: {}, findBackend: () => ({ isUsingGpuDevice: ${gpu} }) });`;

describe('loadTfjs', () => {
  it('loads wasm and cpu', async () => {
    for (const build of ['wasm', 'cpu'] as const) {
      const loaded = await loadTfjs({ build });
      expect(loaded.build).toBe(build);
      expect(loaded.tf.getBackend()).toBe(build);
      expect(loaded.description).toContain(loaded.tf.version_core);
    }
  });

  it('auto takes wasm here and says why not the others', async () => {
    const empty = mkdtempSync(join(tmpdir(), 'xmoe-load-'));
    made.push(empty);
    const loaded = await loadTfjs({ roots: [empty] });
    expect(loaded.build).toBe('wasm');
    expect(loaded.description).toMatch(/not cuda: @tensorflow\/tfjs-node-gpu is not installed/);
    expect(loaded.description).toMatch(/not node: @tensorflow\/tfjs-node is not installed/);
    const backend = await createTfjsBackendFor('auto', { roots: [empty] });
    expect(backend.name).toBe('tfjs:wasm');
    expect(backend.description).toContain('not cuda');
    backend.dispose();
  });

  it('names the missing package, its versions and the command', async () => {
    const error = await failure(loadTfjs({ build: 'cuda' }));
    expect(error.message).toMatch(/@tensorflow\/tfjs-node-gpu is not installed/);
    expect(error.message).toMatch(/TensorFlow 2\.9\.1, CUDA 11\.2, cuDNN 8\.1/);
    expect(error.hint).toBe('npm install @tensorflow/tfjs-node-gpu@4.22.0');
  });

  it('says what is wrong with a native addon that does not load', async () => {
    const root = projectWith('@tensorflow/tfjs-node', "throw new Error('libtensorflow.so.2: cannot open shared object file\\nmore');");
    const error = await failure(loadTfjs({ build: 'node', roots: [root] }));
    expect(error.message).toMatch(/tfjs-node is installed but does not load .*TensorFlow 2\.9\.1.*libtensorflow\.so\.2: cannot open/);
    expect(error.message).not.toContain('\n');
    expect(error.hint).toContain('npm rebuild @tensorflow/tfjs-node');
    expect((await loadTfjs({ roots: [root] })).description).toContain('not node: @tensorflow/tfjs-node is installed but does not load');
  });

  it('refuses a CUDA build without a GPU and takes one with it', async () => {
    const without = await failure(loadTfjs({ build: 'cuda', roots: [projectWith('@tensorflow/tfjs-node-gpu', fakeTfjsNode(false))] }));
    expect(without.message).toContain('finds no GPU');
    expect(without.hint).toContain('nvidia-smi');
    const loaded = await loadTfjs({ build: 'cuda', roots: [projectWith('@tensorflow/tfjs-node-gpu', fakeTfjsNode(true))] });
    expect(loaded).toMatchObject({ build: 'cuda', backendName: 'tensorflow' });
  });

  it('reports a backend that does not start and a build that does not exist', async () => {
    const root = projectWith('@tensorflow/tfjs-node', fakeTfjsNode(true).replace('async () => true', 'async () => false'));
    expect((await failure(loadTfjs({ build: 'node', roots: [root] }))).message).toContain("'tensorflow' did not start");
    expect((await failure(loadTfjs({ build: 'gpu' as 'cuda' }))).hint).toContain('cuda, node, wasm, cpu');
  });
});

describe('the shim for Node 23 and later', () => {
  it('adds what util lacks, so that tfjs-node loads, and leaves the rest', async () => {
    const util = (await import('node:module')).createRequire(import.meta.url)('node:util') as Record<string, unknown>;
    const kept = util['isNullOrUndefined'];
    delete util['isNullOrUndefined']; // as in Node 23
    try {
      const root = projectWith('@tensorflow/tfjs-node', fakeTfjsNode(false));
      expect((await loadTfjs({ build: 'node', roots: [root] })).build).toBe('node');
      expect(typeof util['isNullOrUndefined']).toBe('function');
    } finally {
      if (kept) util['isNullOrUndefined'] = kept;
    }
    const own = (): boolean => false;
    const sample: Record<string, unknown> = { isArray: own };
    expect(shimNodeUtil(sample)).toContain('isNullOrUndefined');
    expect(sample['isArray']).toBe(own);
    expect((sample['isNullOrUndefined'] as (value: unknown) => boolean)(0)).toBe(false);
  });
});

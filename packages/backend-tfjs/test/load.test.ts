// The loader: choosing builds, and the errors for missing, broken and GPU-less packages, with fake packages on disk.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { isXMoEError, type XMoEError } from '@xmoe/core';
import { createTfjsBackendFor, loadTfjs, shimNodeUtil } from '@xmoe/backend-tfjs/node';
import { libraryStamp } from '../src/native/tensorflow.js';
import { keepBits } from '../src/node/keep-bits.js';
import { withoutRepeats } from '../src/node/quiet.js';

// A build that it names would be found before the packages that are made here.
delete process.env['XMOE_TFJS_NATIVE'];

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
    expect(loaded.description).toMatch(/not cuda: @tensorflow\/tfjs-node-gpu is not built here/);
    expect(loaded.description).toMatch(/not node: @tensorflow\/tfjs-node is not built here/);
    const backend = await createTfjsBackendFor('auto', { roots: [empty] });
    expect(backend.name).toBe('tfjs:wasm');
    expect(backend.description).toContain('not cuda');
    backend.dispose();
  });

  it('names the missing package and the command', async () => {
    const error = await failure(loadTfjs({ build: 'cuda', roots: [projectWith('nothing', '')] }));
    expect(error.message).toMatch(/@tensorflow\/tfjs-node-gpu is not built here/);
    expect(error.hint).toBe('npx xmoe-tfjs-native --gpu (in the repository of xmoe: npm run tfjs:native -- --gpu)');
  });

  it.each([
    ['libtensorflow.so.2: cannot open shared object file', 'libtensorflow.so.2 is not where the addon looks for it'],
    ['x.node: undefined symbol: TFE_NewContext', 'made for another version of TensorFlow'],
    ['x.node: wrong ELF class: ELFCLASS32', 'made for another machine than'],
    ['was compiled against a different Node.js version using NODE_MODULE_VERSION 83', 'made for another Node than'],
    ["x.so: version `GLIBC_2.38' not found", 'made for a newer system'],
  ])('says what a native addon means by "%s"', async (reason, meaning) => {
    const root = projectWith('@tensorflow/tfjs-node', `throw new Error(${JSON.stringify(`${reason}\nmore`)});`);
    const error = await failure(loadTfjs({ build: 'node', roots: [root] }));
    expect(error.message).toMatch(/tfjs-node is there but does not load: /);
    expect(error.message).toContain(meaning);
    expect(error.message).toContain(reason);
    expect(error.message).not.toContain('\n');
    expect(error.hint).toContain('npx xmoe-tfjs-native');
    expect((await loadTfjs({ roots: [root] })).description).toContain('not node: @tensorflow/tfjs-node is there but does not load');
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

describe('a build of xmoe-tfjs-native', () => {
  /** A project below which `.native` holds a build that loads; the record says what is given beside the truth. */
  function built(record: Record<string, unknown> = {}): { root: string; folder: string } {
    const root = mkdtempSync(join(tmpdir(), 'xmoe-load-'));
    made.push(root);
    const folder = join(root, '.native');
    const modules = join(folder, 'tfjs-node', 'node_modules', '@tensorflow', 'tfjs-node');
    mkdirSync(modules, { recursive: true });
    writeFileSync(join(modules, 'package.json'), JSON.stringify({ name: '@tensorflow/tfjs-node', version: '4.22.0', main: 'index.js' }));
    writeFileSync(join(modules, 'index.js'), fakeTfjsNode(false).replace('findBackend: () => ({', "findBackend: () => ({ binding: { TF_Version: '2.18.1' },"));
    for (const name of ['lib.so', 'framework.so']) writeFileSync(join(folder, name), 'library');
    writeFileSync(join(folder, 'tfjs-node.json'), JSON.stringify({
      format: 1, package: 'tfjs-node', packageVersion: '4.22.0', tensorflow: '2.18.1', library: 'lib.so', framework: 'framework.so',
      libraryStamp: libraryStamp(join(folder, 'lib.so')), platform: process.platform, arch: process.arch, nodeApi: 8, ...record,
    }));
    return { root, folder };
  }

  it('is found from a folder below, before an installed package, and named with its TensorFlow', async () => {
    const { root, folder } = built();
    const below = join(root, 'a', 'b');
    mkdirSync(join(below, 'node_modules', '@tensorflow', 'tfjs-node'), { recursive: true });
    expect((await loadTfjs({ build: 'node', roots: [below] })).description).toBe(`TensorFlow.js 4.22.0 node from ${folder} on TensorFlow 2.18.1, CPU`);
    process.env['XMOE_TFJS_NATIVE'] = folder;
    try {
      expect((await loadTfjs({ build: 'node', roots: [tmpdir()] })).description).toContain(folder);
      process.env['XMOE_TFJS_NATIVE'] = join(root, 'a');
      expect((await failure(loadTfjs({ build: 'node', roots: [root] }))).message).toContain('not built here');
    } finally {
      delete process.env['XMOE_TFJS_NATIVE'];
    }
  });

  it.each([
    ['another machine', { arch: 's390x' }, /is for \w+ s390x, and this is/],
    ['a newer Node', { nodeApi: 9999 }, /needs Node-API 9999, and Node/],
    ['a library that is gone', { library: 'gone.so' }, /TensorFlow 2\.18\.1 at .*gone\.so, which is not there any more/],
    ['another library in its place', { libraryStamp: '1 2' }, /lib\.so is another file now/],
  ])('is refused with the reason: %s', async (_, record, message) => {
    const error = await failure(loadTfjs({ build: 'node', roots: [built(record).root] }));
    expect(error.message).toMatch(message);
    expect(error.hint).toMatch(/^to build it again: npx xmoe-tfjs-native/);
  });

  it.each(['', '{', 'null', '[]', '{"format":2}'])('is none where the record is %j', async (text) => {
    const { root, folder } = built();
    writeFileSync(join(folder, 'tfjs-node.json'), text);
    expect((await failure(loadTfjs({ build: 'node', roots: [root] }))).message).toContain('not built here');
  });

  it('drops the warnings about what is registered twice while it loads, and no others', () => {
    const { warn } = console;
    const said: string[] = [];
    console.warn = (text: string) => void said.push(text);
    try {
      expect(withoutRepeats(() => {
        for (const text of ["The kernel 'Abs' for backend 'cpu' is already registered", 'Platform node has already been set.', 'something else']) console.warn(text);
        return 7;
      })).toBe(7);
      console.warn('is already registered');
    } finally {
      console.warn = warn;
    }
    expect(said).toEqual(['something else', 'is already registered']);
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

it.each([
  [undefined, {}, '0'],
  ['float32', {}, '0'],
  ['bfloat16', {}, undefined],
  [undefined, { TF_ENABLE_ONEDNN_OPTS: '1' }, '1'],
])('TensorFlow leaves oneDNN out unless products are rounded or the user has chosen: products %s, %o', (products, env, expected) => {
  const told: NodeJS.ProcessEnv = { ...env };
  keepBits(told, products);
  expect(told['TF_ENABLE_ONEDNN_OPTS']).toBe(expected);
});

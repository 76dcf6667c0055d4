// xmoe-tfjs-native with a compiler, pip and npm that only pretend: what it asks of them, what it leaves behind, what it says. The real ones
// are what the tests of tfjs:node run on.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { isXMoEError, type XMoEError } from '@xmoe/core';
import { buildNative, removeNative, type BuildResult } from '../src/native/build.js';
import { readRecord } from '../src/native/layout.js';
import { readOptions } from '../src/native/options.js';
import { findTensorflow, judgeVersion } from '../src/native/tensorflow.js';

// The folder that it names is somebody's build: what is built and removed here lies in folders of this file's own.
delete process.env['XMOE_TFJS_NATIVE'];

const made: string[] = [];
const before = { PATH: process.env['PATH'], CXX: process.env['CXX'] };
afterEach(() => {
  Object.assign(process.env, before);
  if (before.CXX === undefined) delete process.env['CXX'];
  made.splice(0).forEach((directory) => rmSync(directory, { recursive: true }));
});

function temporary(name = 'xmoe native ü '): string {
  const directory = mkdtempSync(join(tmpdir(), name));
  made.push(directory);
  return directory;
}

function write(path: string, text: string, mode?: number): void {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, text, { mode });
}

/** A folder like the one that a wheel of TensorFlow unpacks to. */
function wheelIn(directory: string, version = '2.18.1'): string {
  const [major, minor, patch] = version.split('.');
  for (const library of ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2']) write(join(directory, 'tensorflow', library), 'library');
  write(join(directory, 'tensorflow/include/tensorflow/c/eager/c_api.h'), '');
  write(join(directory, 'tensorflow/include/tensorflow/core/public/version.h'), `#define TF_MAJOR_VERSION ${major}\n#define TF_MINOR_VERSION ${minor}\n#define TF_PATCH_VERSION ${patch}\n`);
  return directory;
}

const FAKES: Record<string, string> = {
  'g++': `if (args[0] !== '--version') {
    if (!fs.existsSync('binding/tfjs_backend.cc')) throw new Error('no source here');
    fs.writeFileSync(args[args.indexOf('-o') + 1], 'addon');
  }`,
  python3: `if (args[0] === '-c') console.log(3);
  else if (args.includes('--version')) console.log('pip 23.2.1 from somewhere (python 3.11)');
  else {
    const at = require('path').join(args[args.indexOf('--target') + 1], 'tensorflow');
    fs.cpSync(process.env.FAKE_WHEEL, at, { recursive: true });
  }`,
  npm: `if (args[0] === 'install') {
    const name = /@tensorflow.tfjs-node(-gpu)?/.exec(args.at(-1))[0];
    fs.mkdirSync('node_modules/' + name + '/binding', { recursive: true });
    fs.writeFileSync('node_modules/' + name + '/binding/tfjs_backend.cc', '');
    fs.writeFileSync('node_modules/' + name + '/package.json', JSON.stringify({ binary: { napi_versions: [3, 8, 99] } }));
  }`,
};

/** A PATH of pretending tools, which write down what they were asked; some may be missing or replaced. */
function pretend(replaced: Record<string, string | null> = {}): { calls: () => string[][]; bin: string } {
  const bin = temporary();
  const log = join(bin, 'calls.jsonl');
  const wheel = join(wheelIn(temporary()), 'tensorflow');
  for (const [name, body] of Object.entries({ ...FAKES, ...replaced })) {
    if (body === null) continue;
    write(join(bin, name), `#!${process.execPath}
const fs = require('fs'); const args = process.argv.slice(2); process.env.FAKE_WHEEL = ${JSON.stringify(wheel)};
fs.appendFileSync(${JSON.stringify(log)}, JSON.stringify([${JSON.stringify(name)}, ...args]) + '\\n');
${body}`, 0o755);
  }
  process.env['PATH'] = bin;
  delete process.env['CXX'];
  return { bin, calls: () => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n').map((line) => JSON.parse(line) as string[]) : []) };
}

async function build(directory: string, args: string[] = [], tensorflow = '2.18.1'): Promise<BuildResult & { steps: string[]; notes: string[] }> {
  const [steps, notes]: string[][] = [[], []];
  const result = await buildNative(readOptions(args, directory), {
    progress: (label, run) => (steps!.push(label), run()),
    note: (line) => void notes!.push(line),
    check: async () => ({ tensorflow, gpu: false }),
  });
  return { ...result, steps: steps!, notes: notes! };
}

async function failure(promise: Promise<unknown>): Promise<XMoEError> {
  const error = await promise.then(() => new Error('nothing was thrown'), (reason: unknown) => reason);
  if (!isXMoEError(error)) throw error;
  return error;
}

/** Everything below, without what is as it was. */
const entries = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder).toSorted() : []);
const linux = process.platform === 'linux';

describe.skipIf(!linux)('a build, in a folder with a space and a letter beyond ASCII', () => {
  it('gets the library and the package, compiles once, and does nothing the second time', async () => {
    const { calls } = pretend();
    const here = temporary();
    const first = await build(here);
    expect(first.steps.map((step) => step.split(' ')[0])).toEqual(['Getting', 'Getting', 'Compiling']);
    expect(first).toMatchObject({ built: true, tensorflow: '2.18.1' });
    expect(existsSync(first.addon)).toBe(true);
    const folder = join(here, '.native');
    expect(entries(folder)).toEqual(['tensorflow-cpu-2.18.1', 'tfjs-node', 'tfjs-node.json']);
    // Found from the addon: the folder can be moved as a whole.
    const compiled = calls().find(([name, first]) => name === 'g++' && first !== '--version')!;
    expect(compiled[compiled.indexOf('-rpath') + 2]).toBe('$ORIGIN/../../../../../../tensorflow-cpu-2.18.1/tensorflow');
    expect(calls().find(([name, , , install]) => name === 'python3' && install === 'install')).toContain('tensorflow-cpu==2.18.1');
    expect(calls().find(([name, install]) => name === 'npm' && install === 'install')).toEqual(expect.arrayContaining(['--ignore-scripts', '@tensorflow/tfjs-node@4.22.0']));
    const asked = calls().length;
    expect(await build(here)).toMatchObject({ built: false, steps: [] });
    expect(calls().length).toBe(asked);
  });

  it('compiles against a library that is there, where it lies, and builds again for another one', async () => {
    const { calls } = pretend({ python3: null });
    const [here, there, newer] = [temporary(), wheelIn(temporary()), wheelIn(temporary(), '2.22.0')];
    expect((await build(here, ['--tensorflow', there])).steps).toEqual(['Getting @tensorflow/tfjs-node 4.22.0', 'Compiling the addon']);
    const compiled = calls().find(([name, first]) => name === 'g++' && first !== '--version')!;
    expect(compiled[compiled.indexOf('-rpath') + 2]).toBe(join(there, 'tensorflow'));
    expect((await build(here, ['--tensorflow', join(there, 'tensorflow')])).built).toBe(false);
    const again = await build(here, ['--tensorflow', newer], '2.22.0');
    expect(again.steps).toEqual(['Compiling the addon']);
    expect(again.notes.join()).toContain('2.22.0 is newer than 2.21');
    expect(readRecord(join(here, '.native'), 'tfjs-node')).toMatchObject({ tensorflow: '2.22.0', library: join(newer, 'tensorflow/libtensorflow_cc.so.2') });
  });

  it('keeps tfjs:node and tfjs:cuda apart, and removes what it made and nothing else', async () => {
    const { calls } = pretend();
    const here = temporary();
    const folder = join(here, '.native');
    await build(here);
    await build(here, ['--gpu'], '2.21.0');
    expect(calls().flat()).toContain('tensorflow[and-cuda]==2.21.0');
    write(join(folder, 'mine.txt'), '');
    expect(removeNative(readOptions(['--gpu'], here)).toSorted()).toEqual(['tensorflow-2.21.0', 'tfjs-node-gpu', 'tfjs-node-gpu.json']);
    expect((await build(here)).built).toBe(false);
    expect(removeNative(readOptions([], here)).toSorted()).toEqual(['tensorflow-cpu-2.18.1', 'tfjs-node', 'tfjs-node.json']);
    expect(entries(folder)).toEqual(['mine.txt']);
    expect(removeNative(readOptions([], here))).toEqual([]);
  });
});

describe.skipIf(!linux)('what goes wrong', () => {
  it('names everything that is missing at once, with what to type', async () => {
    pretend({ 'g++': null, python3: null });
    const here = temporary();
    const error = await failure(build(here, ['--node-headers', 'nowhere']));
    expect(error.message).toMatch(/3 things are missing/);
    for (const wanted of [/a C\+\+ compiler: .*install g/, /Python 3 with pip: .*install python3-pip.*--tensorflow DIR/, /node_api.h is not in .*nowhere/]) expect(error.message).toMatch(wanted);
    expect(existsSync(join(here, '.native'))).toBe(false);
    process.env['CXX'] = 'my-c++';
    expect((await failure(build(here))).message).toContain('CXX names my-c++');
  });

  it('refuses a pip that is too old', async () => {
    pretend({ python3: "console.log(args[0] === '-c' ? 3 : 'pip 9.0.1 from somewhere (python 3.6)')" });
    expect((await failure(build(temporary()))).message).toMatch(/pip 20 or newer, this is 9/);
  });

  it.each([
    ['pip', 'python3', `if (!args.includes('install')) { ${FAKES['python3']} } else { console.error('ERROR: No matching distribution found for tensorflow-cpu'); process.exit(1); }`, /pip could not get tensorflow-cpu==2.18.1: ERROR: No matching/, []],
    ['npm', 'npm', "if (args[0] === 'install') { fs.writeFileSync('half', ''); console.error('npm error network request failed'); process.exit(1); }", /npm could not get @tensorflow\/tfjs-node@4.22.0: npm error network/, ['tensorflow-cpu-2.18.1']],
    ['the compiler', 'g++', "if (args[0] !== '--version') { fs.writeFileSync(args[args.indexOf('-o') + 1], ''); console.error('fatal error: x.h: No such file'); process.exit(1); }", /does not compile: fatal error: x.h/, ['tensorflow-cpu-2.18.1', 'tfjs-node']],
  ])('leaves nothing half-made when %s fails, and goes on from there', async (_, tool, body, message, kept) => {
    pretend({ [tool]: body });
    const here = temporary();
    const error = await failure(build(here));
    expect(error.message).toMatch(message);
    expect(error.hint).toBeTruthy();
    expect(entries(join(here, '.native'))).toEqual(kept);
    const api = join(here, '.native/tfjs-node/node_modules/@tensorflow/tfjs-node/lib/napi-v8');
    expect(entries(api)).toEqual([]);
    pretend();
    expect((await build(here)).built).toBe(true);
    expect(entries(api)).toEqual(['tfjs_binding.node']);
  });

  it('removes what a killed command has left, not what a running one makes', async () => {
    pretend();
    const here = temporary();
    const folder = join(here, '.native');
    mkdirSync(join(folder, 'tfjs-node.partial-99999999'), { recursive: true });
    mkdirSync(join(folder, `tfjs-node.partial-${process.ppid}`));
    await build(here);
    expect(entries(folder)).toEqual(['tensorflow-cpu-2.18.1', 'tfjs-node', 'tfjs-node.json', `tfjs-node.partial-${process.ppid}`]);
  });

  it('stops on Ctrl-C with its children, and leaves nothing', async () => {
    const { bin } = pretend({ python3: `if (!args.includes('install')) { ${FAKES['python3']} } else { console.error('begun'); fs.writeFileSync(${JSON.stringify(join(tmpdir(), `xmoe-pip-${process.pid}`))}, String(process.pid)); setInterval(() => {}, 1000); }` });
    const marker = join(tmpdir(), `xmoe-pip-${process.pid}`);
    made.push(marker);
    const here = temporary();
    const cli = fileURLToPath(new URL('../src/native/cli.ts', import.meta.url));
    const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
    const child = spawn(process.execPath, ['--conditions=@xmoe/source', '--import', tsx, cli], { cwd: here, env: { ...process.env, PATH: bin, NODE_OPTIONS: '' }, stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    child.stderr.on('data', (text) => (said += text));
    while (!existsSync(marker) || readFileSync(marker, 'utf8') === '') await new Promise((settle) => setTimeout(settle, 50));
    const pip = Number(readFileSync(marker, 'utf8'));
    child.kill('SIGINT');
    expect(await new Promise((settle) => child.on('close', settle))).toBe(130);
    expect(said).toContain('nothing is left half-built');
    expect(entries(join(here, '.native'))).toEqual([]);
    expect(() => process.kill(pip, 0)).toThrow(/ESRCH/);
  });
});

describe('its options', () => {
  const refused = (args: string[]): XMoEError => {
    try {
      readOptions(args, '/');
    } catch (error) {
      if (isXMoEError(error)) return error;
      throw error;
    }
    throw new Error('nothing was thrown');
  };

  it('refuses what it does not know, with the nearest name', () => {
    expect(refused(['--tensorflwo', 'x'])).toMatchObject({ code: 'config', hint: 'did you mean --tensorflow?' });
    expect(refused(['--tensorflow=']).message).toContain('--tensorflow is empty');
    for (const args of [['x'], ['--gpu=1'], ['--tensorflow'], ['-x']]) expect(refused(args).code).toBe('config');
  });

  it('tells versions from folders', () => {
    expect(readOptions(['--tensorflow', '2.21.0'], '/a').tensorflow).toEqual({ version: '2.21.0' });
    expect(readOptions(['--tensorflow', 'tf'], '/a').tensorflow).toEqual({ directory: join('/a', 'tf') });
  });
});

describe('a library in a folder', () => {
  it('is found in a site-packages, in its tensorflow folder and in an archive', () => {
    const wheel = wheelIn(temporary());
    const found = findTensorflow(wheel);
    expect(found.version).toBe('2.18.1');
    expect(findTensorflow(join(wheel, 'tensorflow'))).toEqual(found);
    const archive = temporary();
    for (const name of ['libtensorflow.so.2.7.0', 'libtensorflow.so.2', 'libtensorflow_framework.so.2']) write(join(archive, 'lib', name), '');
    write(join(archive, 'include/tensorflow/c/eager/c_api.h'), '');
    expect(findTensorflow(archive)).toMatchObject({ library: join(archive, 'lib/libtensorflow.so.2'), version: null });
  });

  it('is refused with what is missing', () => {
    const empty = temporary();
    expect(() => findTensorflow(join(empty, 'no'))).toThrow(/there is no folder/);
    expect(() => findTensorflow(empty)).toThrow(/holds no libtensorflow/);
    write(join(empty, 'file'), '');
    expect(() => findTensorflow(join(empty, 'file'))).toThrow(/is not a folder/);
    for (const name of ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2']) write(join(empty, name), '');
    expect(() => findTensorflow(empty)).toThrow(/c_api.h is in none of/);
    expect(() => judgeVersion('2.6.5')).toThrow(/too old/);
    expect(judgeVersion('2.21.0')).toEqual({});
  });
});

// Nothing foreign on the terminal: opening an adapter, or finding none, writes nothing to standard error, and standard error works as
// before afterwards, as a pipe, a terminal or a file.
import { execFile } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, symlinkSync, writeFileSync, writeSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import ts from '@typescript/typescript6';
import { describe, expect, it } from 'vitest';
import { createWebGpuBackend } from '../src/index.js';
import { createMockGpu, SMALLEST_GPU } from '@xmoe/testing';

const NODE = ['--conditions=@xmoe/source', '--import', 'tsx', '--input-type=module', '-e'];
const OPEN = `
  import { openGpuDevice } from './packages/backend-webgpu/src/device/open-device.ts';
  process.stderr.write('before\\n');
  const found = await openGpuDevice(globalThis.process.argv.includes('hardware') ? { hardwareOnly: true } : {}).then(({ device }) => { device.destroy(); return 'opened'; }, (error) => error.message);
  process.stdout.write(found);
  process.stderr.write('after\\n');`;

describe.skipIf(process.platform === 'win32')('standard error while an adapter is opened', () => {
  const NOWHERE = { VK_DRIVER_FILES: '/nowhere.json', VK_ICD_FILENAMES: '/nowhere.json' };

  it.each([['with the drivers there are', {}], ['without a driver', NOWHERE]])('holds what we write: a pipe, %s', async (_, drivers) => {
    // A shell makes a pipe; Node would make a socket.
    const { stdout } = await promisify(execFile)('/bin/sh', ['-c', 'node "$@" 2>&1 >/dev/null | cat', 'sh', ...NODE, OPEN], { env: { ...process.env, ...drivers } });
    expect(stdout).toBe('before\nafter\n');
  });

  it.each([['a CPU is not wanted', {}, ['hardware'], /the only WebGPU adapter is software|no adapter|does not load|opened/], ['there is no driver', NOWHERE, [], /no adapter|does not load/]])('holds what we write: a socket, when %s', async (_, drivers, args, expected) => {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [...NODE, OPEN, ...args], { env: { ...process.env, ...drivers } });
    expect(stderr).toBe('before\nafter\n');
    expect(stdout).toMatch(expected);
  });

  it('that is a file keeps what is in it, and what others write', async () => {
    const path = join(mkdtempSync(join(tmpdir(), 'xmoe-quiet-')), 'log');
    const log = openSync(path, 'w');
    writeSync(log, 'first\n');
    await new Promise((resolve) => spawn(process.execPath, [...NODE, OPEN], { stdio: ['ignore', 'ignore', log] }).on('close', resolve));
    writeSync(log, 'last\n');
    closeSync(log);
    expect(readFileSync(path, 'utf8')).toMatch(/^first\nbefore\n[^]*after\nlast\n$/);
  });

  it('whose reader is gone does not keep the adapter from being opened', async () => {
    const child = spawn(process.execPath, [...NODE, OPEN.replace(/process.stderr.write\(.*\);/g, '')], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stderr.destroy();
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    expect(await new Promise((resolve) => child.on('close', resolve))).toBe(0);
    expect(said).toMatch(/^opened$|no adapter|does not load/);
  });
});

// By Node alone: loaders of TypeScript find packages in a thread of their own.
it.skipIf(process.platform === 'win32')('a look at standard error keeps Node from finding no package', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'xmoe-linked-'));
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  };
  try {
    const source = readFileSync(new URL('../src/device/quiet.ts', import.meta.url), 'utf8');
    write('app/quiet.mjs', ts.transpileModule(source, { compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext } }).outputText);
    write('app/main.mjs', `import { standardError } from './quiet.mjs';
      process.stdout.write(standardError());
      await import('linked').then(() => process.stdout.write(' found'), (error) => process.stdout.write(' ' + error.message));`);
    // As pnpm lays packages out: a link, and what the package needs beside the place that it leads to.
    write('store/node_modules/linked/index.js', "require('beside');");
    write('store/node_modules/beside/index.js', '');
    mkdirSync(join(folder, 'app/node_modules'));
    symlinkSync('../../store/node_modules/linked', join(folder, 'app/node_modules/linked'));
    const { stdout } = await promisify(execFile)('/bin/sh', ['-c', 'node "$1" 2>&1 | cat', 'sh', join(folder, 'app/main.mjs')]);
    expect(stdout).toBe('quiet found');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it('a device with fewer than 256 threads in a workgroup is refused by name', async () => {
  for (const limit of ['maxComputeInvocationsPerWorkgroup', 'maxComputeWorkgroupSizeX']) {
    const { device } = createMockGpu({ ...SMALLEST_GPU, limits: { ...SMALLEST_GPU.limits, [limit]: 128 } });
    await expect(createWebGpuBackend({ device })).rejects.toMatchObject({ code: 'backend', message: expect.stringContaining('executes nothing runs 128 threads in a workgroup, kernels need 256') as string });
  }
});

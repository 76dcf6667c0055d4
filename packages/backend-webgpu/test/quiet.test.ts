// Nothing foreign on the terminal: opening an adapter, or finding none, writes nothing to standard error, and standard error works as
// before afterwards, as a pipe, a terminal or a file.
import { execFile } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, writeSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
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

it('a device with fewer than 256 threads in a workgroup is refused by name', async () => {
  for (const limit of ['maxComputeInvocationsPerWorkgroup', 'maxComputeWorkgroupSizeX']) {
    const { device } = createMockGpu({ ...SMALLEST_GPU, limits: { ...SMALLEST_GPU.limits, [limit]: 128 } });
    await expect(createWebGpuBackend({ device })).rejects.toMatchObject({ code: 'backend', message: expect.stringContaining('executes nothing runs 128 threads in a workgroup, kernels need 256') as string });
  }
});

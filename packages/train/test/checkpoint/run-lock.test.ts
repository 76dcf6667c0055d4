// One process at a time: refusal while the holder lives, takeover when it is dead, and no double takeover.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lockRunDirectory } from '../../src/checkpoint/run-lock.js';
import { ownTag } from '@xmoe/files/node';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'xmoe-lock-'));
});
afterEach(() => rm(directory, { recursive: true }));

const stale = { pid: 999_999_999, host: hostname(), started: '1', since: '2026-01-01T00:00:00Z' };

describe('lockRunDirectory', () => {
  it('refuses a second user, names the first, and is free after release', async () => {
    const lock = await lockRunDirectory(directory);
    await expect(lockRunDirectory(directory)).rejects.toMatchObject({
      code: 'busy',
      message: expect.stringContaining(`is in use by process ${process.pid} on ${hostname()}`),
    });
    lock.release();
    expect(await readdir(directory)).toEqual([]);
    (await lockRunDirectory(directory)).release();
  });

  it('takes over the lock of a dead process, also when its number was given to another', async () => {
    for (const holder of [stale, { ...stale, pid: process.pid }]) {
      await writeFile(join(directory, 'lock'), JSON.stringify(holder));
      const lock = await lockRunDirectory(directory);
      expect(JSON.parse(await readFile(lock.path, 'utf8'))).toMatchObject({ pid: process.pid });
      lock.release();
    }
    expect(await readdir(directory)).toEqual([]);
  });

  it('does not guess about another host or an unreadable lock', async () => {
    await writeFile(join(directory, 'lock'), JSON.stringify({ ...stale, host: 'elsewhere' }));
    await expect(lockRunDirectory(directory)).rejects.toThrow('process 999999999 on elsewhere');
    await writeFile(join(directory, 'lock'), '');
    await expect(lockRunDirectory(directory)).rejects.toThrow('a lock that cannot be read');
  });

  it('needs no help after kills in the middle of takeovers, and exactly one of many goes on', async () => {
    for (const name of ['lock', 'lock.takeover', 'lock.takeover.takeover']) await writeFile(join(directory, name), JSON.stringify(stale));
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => lockRunDirectory(directory)));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await readdir(directory)).toEqual(['lock']);
    for (const result of results) if (result.status === 'fulfilled') result.value.release();
  });

  it('removes what dead processes left under temporary names, and nothing of others', async () => {
    const dead = ownTag().replace(/^\d+\.\d*/, '999999999.1');
    const foreign = '999999999.1.0123abcd';
    const left = [`.temporary-${dead}-0-config.json`, `lock.${dead}-0`, `lock.${dead}-0-second`];
    const kept = [`.temporary-${foreign}-0-config.json`, `lock.${foreign}-0`, `lock.${ownTag()}-7`, 'lock.txt'];
    for (const name of [...left, ...kept]) await writeFile(join(directory, name), '');
    const lock = await lockRunDirectory(directory);
    expect((await readdir(directory)).sort()).toEqual([...kept, 'lock'].sort());
    lock.release();
  });

  it('notices when the directory is gone or the lock is another process’s', async () => {
    const lock = await lockRunDirectory(directory);
    lock.checkHeld();
    await writeFile(lock.path, JSON.stringify(stale));
    expect(() => lock.checkHeld()).toThrow(expect.objectContaining({ code: 'io', message: `${directory} is no longer this run's: its lock is gone or another's` }));
    await rm(lock.path);
    expect(() => lock.checkHeld()).toThrow('no longer this run');
    lock.release();
  });

  it('lets exactly one of many take a stale lock', async () => {
    await writeFile(join(directory, 'lock'), JSON.stringify(stale));
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => lockRunDirectory(directory)));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await readdir(directory)).toEqual(['lock']);
    for (const result of results) if (result.status === 'fulfilled') result.value.release();
  });

  it('is held by a living process, stale after a kill, and gone after a normal exit', async () => {
    const root = fileURLToPath(new URL('../../../..', import.meta.url));
    const start = (then: string) => spawn(process.execPath, ['--conditions=@xmoe/source', '--import', 'tsx', '--input-type=module', '-e', `
      import { lockRunDirectory } from './packages/train/src/checkpoint/run-lock.js';
      await lockRunDirectory(${JSON.stringify(directory)});
      console.log('locked');
      ${then}`], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
    const child = start('setInterval(() => {}, 1000);');
    await once(child.stdout, 'data');
    await expect(lockRunDirectory(directory)).rejects.toThrow(`process ${child.pid}`);
    child.kill('SIGKILL');
    await once(child, 'exit');
    (await lockRunDirectory(directory)).release();
    await once(start(''), 'exit');
    expect(await readdir(directory)).toEqual([]);
  });
});

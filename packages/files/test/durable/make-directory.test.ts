// Making a directory and those above it: what was made, and an end where Node's own recursive form has none.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@xmoe/testing/programs';
import { afterAll, expect, it } from 'vitest';
import { makeDirectory } from '../../src/durable/file-io.js';

const path = temporaryFolder(afterAll);

it('makes all that is missing and says where it began', async () => {
  expect(await makeDirectory(path('a', 'b', 'c'))).toBe(path('a'));
  expect(await makeDirectory(path('a', 'b', 'c'))).toBeUndefined();
  expect(await makeDirectory(path('a', 'b', 'd'))).toBe(path('a', 'b', 'd'));
  expect(existsSync(path('a', 'b', 'c'))).toBe(true);
});

it('many at once all succeed, whoever makes which part', async () => {
  for (let round = 0; round < 50; round++) {
    const wanted = path(`x${round}`, 'y', 'z');
    const made = await Promise.all(Array.from({ length: 4 }, () => makeDirectory(wanted)));
    expect(existsSync(wanted)).toBe(true);
    expect(made.filter((first) => first === path(`x${round}`))).toHaveLength(1);
  }
});

it('refuses a file in the way, at the end or above it', async () => {
  writeFileSync(path('file'), '');
  await expect(makeDirectory(path('file'))).rejects.toThrow('EEXIST');
  await expect(makeDirectory(join(path('file'), 'below'))).rejects.toThrow('ENOTDIR');
});

it.runIf(process.platform === 'linux')('F10: ends on a system folder that takes no new ones', async () => {
  await expect(makeDirectory('/proc/run')).rejects.toThrow('ENOENT');
  await expect(makeDirectory('/proc/run/below')).rejects.toThrow('ENOENT');
});

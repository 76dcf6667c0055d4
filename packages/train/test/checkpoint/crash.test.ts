// Crash safety with real processes: a saver killed with SIGKILL at every file system operation of a save, and at
// arbitrary moments, always leaves a complete newest checkpoint.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createCheckpointStore, readBestPointer } from '../../src/checkpoint/store.js';

const root = fileURLToPath(new URL('../../../..', import.meta.url));
const child = fileURLToPath(new URL('crash-child.ts', import.meta.url));
let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'xmoe-crash-'));
});
afterEach(() => rm(directory, { recursive: true }));

interface Outcome {
  /** The last step whose save had been reported done. */
  reported: number;
  /** How many operations the saves after the first took; 0 when killed. */
  operations: number;
  killed: boolean;
}

/** Runs the saver until it ends or `onStep`, called when a save is reported, kills it. */
async function runSaver(mode: string, where: string, onStep?: (kill: () => void) => void): Promise<Outcome> {
  const saver = spawn(process.execPath, ['--conditions=@xmoe/source', '--import', 'tsx', child], {
    cwd: root,
    env: { ...process.env, CRASH_DIRECTORY: where, CRASH_SNAPSHOTS: `${where}-snapshots`, CRASH_MODE: mode },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  saver.stdout.on('data', (data: Buffer) => {
    output += data.toString();
    onStep?.(() => saver.kill('SIGKILL'));
  });
  const [, signal] = (await once(saver, 'close')) as [number | null, string | null];
  const steps = output.split('\n').filter((line) => /^\d+$/.test(line));
  const operations = Number(/^operations (\d+)$/m.exec(output)?.[1] ?? 0);
  return { reported: Number(steps.at(-1) ?? 0), operations, killed: signal === 'SIGKILL' };
}

/** What must hold after any crash. Returns the step that a resumed run starts from. */
async function expectIntact(where: string, reported: number): Promise<number> {
  const warnings: string[] = [];
  const store = createCheckpointStore({ directory: where, keepLast: 1, onWarning: (message) => warnings.push(message) });
  const loaded = await store.loadLatest();
  expect(warnings).toEqual([]); // not even a damaged one beside it
  expect(loaded.step).toBeGreaterThanOrEqual(reported);
  expect(loaded.state).toEqual({ step: loaded.step });
  expect(loaded.tensors.parameters![0]!.data).toEqual(new Float32Array(1000).fill(loaded.step));
  const best = await readBestPointer(where);
  expect(await store.load(best!)).toMatchObject({ metric: 1 / (await store.load(best!)).step });
  return loaded.step;
}

describe('a killed saver', () => {
  it('leaves a complete checkpoint at whatever operation it dies', async () => {
    const where = join(directory, 'run');
    const { operations } = await runSaver('snapshot', where);
    expect(operations).toBeGreaterThan(20);
    const snapshots = await readdir(`${where}-snapshots`);
    expect(snapshots).toHaveLength(operations);
    for (const snapshot of snapshots) {
      await expectIntact(join(`${where}-snapshots`, snapshot), Number(snapshot.split('-after-')[1]));
    }
  });

  it.each(['4', '9', '20'])('leaves a complete checkpoint when killed at operation %s', async (mode) => {
    const { reported, killed } = await runSaver(mode, directory);
    expect(killed).toBe(true);
    await expectIntact(directory, reported);
  });

  it('resumes after kills at arbitrary moments, run after run in one directory', async () => {
    let step = 0;
    for (const delay of [0, 1, 3, 7, 13]) {
      const { reported, killed } = await runSaver('run', directory, (kill) => setTimeout(kill, delay));
      expect(killed).toBe(true);
      const resumedFrom = await expectIntact(directory, reported);
      expect(resumedFrom).toBeGreaterThan(step);
      step = resumedFrom;
    }
    const store = createCheckpointStore({ directory, keepLast: 1 });
    const { state, tensors } = await store.loadLatest();
    await store.save({ step: step + 1, tensors, state });
    expect((await readdir(directory)).filter((name) => name.startsWith('.'))).toEqual([]);
  });
});

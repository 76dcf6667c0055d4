// A process that saves checkpoints, run by crash.test.ts; not a test itself. CRASH_MODE says how it ends:
// `snapshot`: before every file system operation of two saves it copies the directory, which is what a kill there leaves;
// a number k: it kills itself with SIGKILL at the k-th operation after its first save; `run`: it saves until killed.
import { cpSync } from 'node:fs';
import fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';

const directory = process.env.CRASH_DIRECTORY!;
const mode = process.env.CRASH_MODE!;
let firstDone = false;
let operations = 0;
let lastStep = 0;

function beforeOperation(): void {
  if (!firstDone || mode === 'run') return;
  operations++;
  if (mode === 'snapshot') cpSync(directory, join(process.env.CRASH_SNAPSHOTS!, `${operations}-after-${lastStep}`), { recursive: true });
  else if (operations === Number(mode)) process.kill(process.pid, 'SIGKILL');
}

function watchCalls(target: object, method: string): void {
  const functions = target as Record<string, (...values: unknown[]) => Promise<unknown>>;
  const original = functions[method]!;
  functions[method] = function (this: unknown, ...values: unknown[]) {
    beforeOperation();
    return original.apply(this, values);
  };
}

const handle = await fs.open(process.execPath, 'r');
for (const method of ['write', 'sync']) watchCalls(Object.getPrototypeOf(handle) as object, method);
await handle.close();
for (const method of ['open', 'mkdir', 'rename', 'rm']) watchCalls(fs, method);
syncBuiltinESMExports();

// Loaded only now, so that it sees the watched functions.
const { createCheckpointStore } = await import('../../src/checkpoint/store.js');
const store = createCheckpointStore({ directory, keepLast: 1 });
const first = ((await store.list()).at(-1)?.step ?? 0) + 1;
for (let step = first; mode === 'run' || step < first + 3; step++) {
  const data = new Float32Array(1000).fill(step);
  const tensors = [{ name: 'w', dtype: 'float32' as const, shape: [1000], data }];
  await store.save({ step, tensors: { parameters: tensors }, state: { step }, metric: 1 / step });
  lastStep = step;
  firstDone = true;
  console.log(step);
}
console.log(`operations ${operations}`);

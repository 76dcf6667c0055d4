// The program of a child process that tries re-vectorised kernels as a training process uses them, and prints what it found: numbers that
// are wrong, or no gain. If V8 ends it, that is an answer too. The build makes it one file, wasm/probe.mjs.
import type { Backend, Operand } from '@xmoe/core';
import { createWasmBackend, openRevectorized } from '../wasm-backend.js';
import { joinedResults, joinsRightly } from './joined.js';
import { nodeProcess, startWorker } from './platform.js';
import { SLOW } from './probe.js';
import { passesSelfCheck } from './self-check.js';
import { webAssembly } from './webassembly.js';

const THREADS = 3;
/** As much faster than the others it must be. A processor without 256-bit registers has 1.0, one with them 1.6 to 1.8. */
const GAIN = 1.2;

/**
 * Other code of the process, such as a module of the user's: `run(times, which)` calls one of two functions through a table. A compiler speculates on
 * which, and has to take it back when it is the other one.
 */
const OTHER_MODULE = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 12, 2, 96, 1, 127, 1, 127, 96, 2, 127, 127, 1, 127, 3, 4, 3, 0, 0, 1, 4, 4, 1, 112, 0, 2, 7, 7, 1, 3, 114, 117, 110, 0, 2,
  9, 8, 1, 0, 65, 0, 11, 2, 0, 1, 10, 45, 3, 7, 0, 32, 0, 65, 1, 106, 11, 7, 0, 32, 0, 65, 1, 107, 11,
  27, 1, 1, 127, 3, 64, 32, 2, 32, 1, 17, 0, 0, 33, 2, 32, 0, 65, 1, 107, 34, 0, 13, 0, 11, 32, 2, 11,
);

/** Runs the other module for as long as the first word of `stop` is 0, and turns to the other function now and then. */
const OTHER_WORKER = `
const begin = async ({ bytes, stop }) => {
  port.postMessage('ready');
  while (Atomics.load(stop, 0) === 0) {
    const { instance } = await WebAssembly.instantiate(bytes);
    for (let i = 0; i < 12; i++) instance.exports.run(100000, i >> 2 & 1);
  }
};
port.once('message', begin);
`;

async function otherCode(): Promise<() => boolean> {
  const module = await webAssembly!.compile(OTHER_MODULE);
  const { exports } = await webAssembly!.instantiate(module, {});
  return () => [0, 1, 0, 1].every((which) => exports.run(400_000, which) === (which === 0 ? 400_000 : -400_000));
}

/** Undefined where everything is as it should be. */
async function tryOut(): Promise<string | undefined> {
  const runOther = await otherCode();
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const other = await startWorker(OTHER_WORKER, { bytes: OTHER_MODULE, stop });
  await other.ready;
  try {
    const wrong = 'the kernels computed wrong numbers';
    if (!runOther()) return wrong;
    const first = await openRevectorized({ threads: THREADS, products: null });
    if (first === null || !runOther()) return wrong;
    for (let round = 0; round < 8; round++) if (!(await passesAfterGrowth(first, round)) || !runOther()) return wrong;
    // Another engine of the same process finds the code compiled.
    const second = await openRevectorized({ threads: 1, products: null });
    if (second === null || !runOther()) return wrong;
    Atomics.store(stop, 0, 1);
    const others = await createWasmBackend({ threads: 1, variant: 'relaxed' });
    if (!(await haveEqualBits(first, others))) return wrong;
    const gain = await gainOf(second, others);
    others.dispose();
    first.dispose();
    second.dispose();
    return gain < GAIN ? `${SLOW} here: ${gain.toFixed(2)} times` : undefined;
  } finally {
    Atomics.store(stop, 0, 1);
    other.stop();
  }
}

/** The self-check again, many times, in a memory that has grown. */
async function passesAfterGrowth(backend: Backend, round: number): Promise<boolean> {
  backend.allocate('float32', 2 ** (19 + (round & 1)));
  for (let i = 0; i < 6; i++) if (!(await passesSelfCheck(backend))) return false;
  return joinsRightly(backend);
}

async function haveEqualBits(...backends: readonly Backend[]): Promise<boolean> {
  const [found, expected] = await Promise.all(backends.map(joinedResults));
  return found.every((values, at) => values.every((value, i) => Object.is(value, expected[at][i])));
}

/** How many times as fast as the default kernels it multiplies, by the shortest of interleaved times. */
async function gainOf(backend: Backend, others: Backend): Promise<number> {
  const products = [backend, others].map(productOn);
  const shortest = products.map(() => Infinity);
  for (let round = 0; round < 12; round++) {
    for (const [index, multiply] of products.entries()) {
      const since = performance.now();
      multiply();
      shortest[index] = Math.min(shortest[index], performance.now() - since);
    }
    // What is optimised beside the code that runs needs a moment.
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return shortest[1] / shortest[0];
}

function productOn(backend: Backend): () => void {
  const matrix = (rows: number, columns: number): Operand => {
    const operand: Operand = { buffer: backend.allocate('float32', rows * columns), shape: [1, rows, columns], dtype: 'float32' };
    backend.write(operand, new Float32Array(rows * columns).fill(1));
    return operand;
  };
  const [a, b, out] = [matrix(128, 384), matrix(384, 256), matrix(128, 256)];
  return () => backend.kernels.matmul({ a, b }, { out }, { transposeA: false, transposeB: false });
}

const refusal = await tryOut();
nodeProcess!.stdout.write(JSON.stringify({ refusal: refusal ?? null }));

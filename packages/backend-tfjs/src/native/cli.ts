#!/usr/bin/env node
// The program xmoe-tfjs-native: options in, a build out, one short line per step. The work is in build.ts.
import { isXMoEError } from '@xmoe/core';
import { buildNative, removeNative } from './build.js';
import { HELP, readOptions } from './options.js';

const EXIT = { config: 2, interrupted: 130 } as Record<string, number>;

async function progress<T>(label: string, work: () => Promise<T>): Promise<T> {
  const since = Date.now();
  process.stdout.write(`${label} …`);
  try {
    const result = await work();
    process.stdout.write(` ${((Date.now() - since) / 1000).toFixed(1)} s\n`);
    return result;
  } catch (error) {
    process.stdout.write(' failed\n');
    throw error;
  }
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2), process.cwd());
  if (options.help) return void process.stdout.write(HELP);
  if (options.remove) {
    const removed = removeNative(options);
    return void process.stdout.write(removed.length > 0 ? `removed from ${options.folder}: ${removed.join(', ')}\n` : `nothing of ours in ${options.folder}\n`);
  }
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => stop.abort());
  const found = await buildNative(options, { progress, note: (line) => void process.stdout.write(`note: ${line}\n`), signal: stop.signal });
  process.stdout.write(`${found.built ? 'tfjs' : 'There already: tfjs'}:${options.gpu ? 'cuda' : 'node'} on TensorFlow ${found.tensorflow}, ${found.library}\n`);
  if (options.gpu && !found.gpu) process.stdout.write('note: TensorFlow finds no GPU here: nvidia-smi says whether the driver does\n');
}

try {
  await main();
} catch (error) {
  if (!isXMoEError(error)) throw error;
  const isUsage = error.code === 'config';
  process.stderr.write(error.hint === undefined ? `${error.message}\n` : isUsage ? `${error.message} (${error.hint})\n` : `${error.message}\n${error.hint}\n`);
  process.exitCode = EXIT[error.code] ?? 1;
}

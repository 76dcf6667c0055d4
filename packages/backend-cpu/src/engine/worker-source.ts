// The script of a worker, as text: it must load from a bundle, from source and in a page, where no file lies beside it. It
// waits for a ticket, takes pieces of the job until none is left, and waits again. The protocol is explained in job.ts.
import * as layout from './layout.js';
import { OPEN_PRODUCTS } from './products.js';

/** Looks at the ticket this often before it sleeps: jobs come every few microseconds. */
const SPINS = 20_000;

export const WORKER_SOURCE = `'use strict';
const serve = async ({ module, memory, scratch, index, names, products }) => {
  const sgemm = products === null ? () => {} : (${OPEN_PRODUCTS})(require, products.link, products.base);
  const { exports } = await WebAssembly.instantiate(module, { env: { memory, sgemm } });
  exports.initializeThread(scratch, index);
  if (products !== null) exports.useLibrary();
  const kernels = names.map((name) => exports[name]);
  const words = new Int32Array(memory.buffer, 0, ${layout.MEMORY_BASE / 4});
  const values = new Float64Array(memory.buffer, ${layout.ARGUMENTS_BYTE}, ${layout.MAXIMUM_ARGUMENTS});
  const text = new Uint16Array(memory.buffer, ${layout.FAILURE_TEXT_BYTE}, ${layout.FAILURE_TEXT_LENGTH});
  const report = (error) => {
    const message = String(error).slice(0, text.length);
    for (let i = 0; i < message.length; i++) text[i] = message.charCodeAt(i);
    Atomics.store(words, ${layout.FAILURE}, message.length);
  };
  port.postMessage('ready');
  for (;;) {
    let ticket = Atomics.load(words, ${layout.TICKET});
    for (let spins = 0; (ticket & 63) === 0 && spins < ${SPINS}; spins++) ticket = Atomics.load(words, ${layout.TICKET});
    if ((ticket & 63) === 0) {
      Atomics.wait(words, ${layout.TICKET}, ticket);
      continue;
    }
    const [kernel, total, chunk] = [words[${layout.KERNEL}], words[${layout.TOTAL}], words[${layout.CHUNK}]];
    const given = Array.from(values.subarray(0, words[${layout.ARGUMENT_COUNT}]));
    if (Atomics.compareExchange(words, ${layout.TICKET}, ticket, ticket - 1) !== ticket) continue;
    try {
      const begin = ((ticket & 63) - 1) * chunk;
      kernels[kernel](begin, Math.min(total, begin + chunk), ...given);
    } catch (error) {
      report(error);
    }
    Atomics.add(words, ${layout.DONE}, 1);
    Atomics.notify(words, ${layout.DONE});
  }
};
if (port.once) port.once('message', serve);
else port.onmessage = (event) => serve(event.data);
`;

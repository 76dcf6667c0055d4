// Tries a compiled addon in a process of its own: one that crashes takes nothing along.
import { XMoEError } from '@xmoe/core';
import { lastWords, runChild, type ChildOptions } from './child.js';

export interface AddonReport {
  /** Version that the library reports. */
  readonly tensorflow: string;
  readonly gpu: boolean;
}

/** Loads the addon named by its argument, multiplies [1, 2] by [3, 4]ᵀ and says what it found. */
const PROBE = `
const addon = require(process.argv[1]);
const vector = (shape, values) => addon.createTensor(shape, addon.TF_FLOAT, Float32Array.from(values));
const attributes = [{ name: 'T', type: addon.TF_ATTR_TYPE, value: addon.TF_FLOAT }, ...['transpose_a', 'transpose_b'].map((name) => ({ name, type: addon.TF_ATTR_BOOL, value: false }))];
const [{ id }] = addon.executeOp('MatMul', attributes, [vector([1, 2], [1, 2]), vector([2, 1], [3, 4])], 1);
console.log('XMOE ' + JSON.stringify({ tensorflow: addon.TF_Version, gpu: addon.isUsingGpuDevice(), product: addon.tensorDataSync(id)[0] }));`;

/** @throws XMoEError `backend` when it does not load or computes something else */
export async function checkAddon(addon: string, run: ChildOptions): Promise<AddonReport> {
  const { code, output } = await runChild(process.execPath, ['-e', PROBE, addon], { ...run, env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: '3', NODE_OPTIONS: '' } });
  const line = /^XMOE (.*)$/m.exec(output)?.[1];
  if (code !== 0 || line === undefined) {
    throw new XMoEError('backend', `the addon does not load: ${lastWords(output)}`, { op: 'tfjs-native', hint: 'is the library whole, and for this machine? --tensorflow names another' });
  }
  const { tensorflow, gpu, product } = JSON.parse(line) as AddonReport & { product: number };
  if (product !== 11) throw new XMoEError('backend', `the addon computes ${product} where 11 is right`, { op: 'tfjs-native', hint: 'take another version of TensorFlow' });
  return { tensorflow, gpu };
}

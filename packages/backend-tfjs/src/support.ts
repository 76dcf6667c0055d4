// Where each primitive runs on each TensorFlow.js build: the data behind the README's support table, read off the tables of kernels
// themselves. No code runs by it.
import { type Backend, type BackendKernels, type KernelName, type Kernels } from '@xmoe/core';
import { createFallbacks } from '@xmoe/core/backend';
import type { BoxStore } from './box.js';
import { hostDispatch, hostKernels } from './kernels/host.js';
import { cpuTable, wasmTable } from './kernels/tables.js';
import type { WasmContext } from './kernels/wasm-context.js';
import type { Memory } from './memory.js';
import { tensorflowKernels } from './tensorflow/kernels.js';
import type { Tfjs } from './tfjs-module.js';

/**
 * - `native`: kernels of the TensorFlow.js build;
 * - `host`: this package's loops, in place on the build's memory (cpu, wasm) or through a copy (node, cuda);
 * - `composed`: core's fallback, written in other primitives.
 * On wasm, `native` kernels give way to `host` loops for short operands, other dtypes and operations the build lacks.
 */
export type Support = 'native' | 'host' | 'composed';

export type TfjsBuild = 'cpu' | 'wasm' | 'node' | 'cuda';

/** Primitive → how each build runs it. */
export const tfjsSupport: Readonly<Record<KernelName, Readonly<Record<TfjsBuild, Support>>>> = /* @__PURE__ */ supportOfTables();

/** Of tables made over no memory: only their names matter here, and which kernels are the host's own. */
function supportOfTables(): Record<KernelName, Record<TfjsBuild, Support>> {
  const nothing = {} as BoxStore & Memory & WasmContext;
  const host = hostKernels(nothing);
  const cpu = cpuTable(host, nothing, nothing);
  const wasm = wasmTable(host, nothing, nothing, nothing);
  const store = { storage: { binding: {} } } as unknown as BoxStore;
  const dispatchClaims = hostDispatch(nothing);
  const onHost: Partial<Kernels> = { ...host, dispatchClaims };
  const tensorflow = (waits: boolean): BackendKernels => tensorflowKernels({ engine: () => ({}) } as Tfjs, store, dispatchClaims, host, { waits }).kernels;
  const [node, cuda] = [tensorflow(false), tensorflow(true)];
  const place = (table: Partial<Kernels>, name: KernelName): Support => {
    if (table[name] === undefined) return 'composed';
    return table === cpu || table[name] === onHost[name] ? 'host' : 'native';
  };
  const names = new Set([...Object.keys(host), ...Object.keys(createFallbacks({} as Backend))] as KernelName[]);
  const rows = [...names].map((name) => [name, { cpu: place(cpu, name), wasm: place(wasm, name), node: place(node, name), cuda: place(cuda, name) }]);
  return Object.fromEntries(rows) as Record<KernelName, Record<TfjsBuild, Support>>;
}

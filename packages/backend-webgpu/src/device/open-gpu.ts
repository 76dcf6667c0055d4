// Where the WebGPU entry point comes from: the page's navigator.gpu, or Dawn through the npm package webgpu in Node. No adapter yet.
import { XMoEError } from '@xmoe/core';

/**
 * Toggles of Dawn that cost speed or precision of timing and protect pages from each other: not needed in a process of one's own.
 * `disable_workgroup_init` is not among them and must not be: sorting, dispatch, top-k and the search for live rows count on workgroup
 * memory that begins as zeros, which WGSL promises.
 * `vulkan_enable_f16_on_nvidia`: Dawn keeps float16, and with it subgroup matrices, from every NVIDIA GPU under Vulkan, for tests of conversions that
 * fail there. What kernels need of it is asked of the device instead: `probe-half.ts`, `check-matrices.ts` and, on a GPU, the conformance suite.
 */
const NODE_FLAGS = [
  'enable-dawn-features=allow_unsafe_apis,disable_robustness,use_vulkan_memory_model,vulkan_enable_f16_on_nvidia',
  'disable-dawn-features=timestamp_quantization',
];

/** The part of npm `webgpu` that is used here. */
interface DawnModule {
  create(flags: readonly string[]): GPU;
  globals: Record<string, unknown>;
}

// Dawn stops working when the object that made it is collected: it lives as long as the process.
let node: Promise<GPU> | undefined;

/** navigator.gpu where there is one, else Dawn in Node. Error `backend` where neither exists, with what to install. */
export async function openGpu(): Promise<GPU> {
  const page = (globalThis as { navigator?: { gpu?: GPU } }).navigator?.gpu;
  return page ?? (node ??= openDawn());
}

async function openDawn(): Promise<GPU> {
  // By value, so that no bundler for browsers looks for it.
  const name = 'webgpu';
  let dawn: DawnModule;
  try {
    dawn = (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as DawnModule;
  } catch (error) {
    node = undefined;
    throw new XMoEError('backend', 'there is no WebGPU here: no navigator.gpu, and the npm package webgpu does not load', {
      op: 'webgpu',
      hint: 'in Node: npm install webgpu; in a browser: use one with WebGPU, on https or localhost',
      cause: error,
    });
  }
  for (const [key, value] of Object.entries(dawn.globals)) {
    if (!(key in globalThis)) Object.defineProperty(globalThis, key, { value, configurable: true, writable: true });
  }
  return dawn.create(NODE_FLAGS);
}

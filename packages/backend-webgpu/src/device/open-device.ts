// From a GPU entry point to a device with everything that its adapter offers, and what that is, as data.
import { XMoEError } from '@xmoe/core';
import { openGpu } from './open-gpu.js';
import { probeAdapter } from './probe-adapter.js';
import { halfOverflows } from './probe-half.js';
import { quietly, standardError } from './quiet.js';
import { isSoftware, labelOf, traitsOf, type DeviceTraits } from './traits.js';

export interface OpenDeviceOptions {
  /** Use this device: it stays the caller's, who destroys it. */
  device?: GPUDevice;
  /** Which adapter to ask for. Default `high-performance`. */
  powerPreference?: GPUPowerPreference;
  /** Refuse an adapter that a CPU plays. Default false. */
  hardwareOnly?: boolean;
}

export interface OpenedDevice {
  readonly device: GPUDevice;
  readonly traits: DeviceTraits;
  /** Whether closing the backend destroys the device. */
  readonly owned: boolean;
}

/** Asked for where the adapter has them. */
const FEATURES = ['shader-f16', 'subgroups', 'timestamp-query', 'chromium-experimental-subgroup-matrix'] as const;

/**
 * Opens the adapter with all its limits and the features above, or takes the given device as it is.
 * Error `backend` where there is no adapter.
 */
export async function openGpuDevice({ device: given, powerPreference = 'high-performance', hardwareOnly = false }: OpenDeviceOptions = {}): Promise<OpenedDevice> {
  if (given) return opened(given, given.adapterInfo, false);
  const gpu = await openGpu();
  const known = standardError() === 'loud' ? await probeAdapter() : undefined;
  if (known !== undefined) requireAdapter(known, hardwareOnly);
  // Not awaited inside: what is found is told while it is asked for.
  const { request } = await quietly(() => ({ request: gpu.requestAdapter({ powerPreference }) }));
  const adapter = await request;
  requireAdapter(adapter?.info, hardwareOnly);
  requireThreads(adapter!.limits, adapter!.info);
  const device = await adapter!.requestDevice({
    requiredFeatures: FEATURES.filter((name) => adapter!.features.has(name)) as GPUFeatureName[],
    requiredLimits: everyLimit(adapter!.limits),
  });
  return opened(device, adapter!.info, true);
}

function requireAdapter(info: Parameters<typeof labelOf>[0] | null | undefined, hardwareOnly: boolean): void {
  if (!info) {
    throw new XMoEError('backend', 'WebGPU finds no adapter on this machine', {
      op: 'webgpu',
      hint: 'install the driver of the GPU (Vulkan on Linux, with libvulkan1), or a software adapter; the README says how',
    });
  }
  if (hardwareOnly && isSoftware(info)) {
    throw new XMoEError('backend', `the only WebGPU adapter is software: ${labelOf(info)}`, { op: 'webgpu', hint: 'ask for it with --backend webgpu' });
  }
}

async function opened(device: GPUDevice, info: GPUAdapterInfo, owned: boolean): Promise<OpenedDevice> {
  requireThreads(device.limits, info);
  const overflows = device.features.has('shader-f16') && (await halfOverflows(device));
  return { device, traits: traitsOf(device, info, overflows), owned };
}

/** What every kernel counts on. WebGPU promises it; its compatibility mode does not. */
const LEAST_INVOCATIONS = 256;

function requireThreads({ maxComputeInvocationsPerWorkgroup: threads, maxComputeWorkgroupSizeX: wide }: GPUSupportedLimits, info: GPUAdapterInfo): void {
  const most = Math.min(threads, wide);
  if (most >= LEAST_INVOCATIONS) return;
  throw new XMoEError('backend', `${info.description || info.vendor || 'the GPU'} runs ${most} threads in a workgroup, kernels need ${LEAST_INVOCATIONS}`, {
    op: 'webgpu',
    hint: 'use another adapter, or --backend cpu; WebGPU in compatibility mode is not enough',
  });
}

/** Limits that kernels use; a device gets only what was asked for. */
const LIMITS = [
  'maxBufferSize', 'maxStorageBufferBindingSize', 'maxStorageBuffersPerShaderStage', 'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup', 'maxComputeWorkgroupSizeX', 'maxComputeWorkgroupSizeY', 'maxComputeWorkgroupSizeZ',
  'maxComputeWorkgroupsPerDimension', 'minStorageBufferOffsetAlignment', 'minUniformBufferOffsetAlignment',
] as const;

function everyLimit(limits: GPUSupportedLimits): Record<string, number> {
  return Object.fromEntries(LIMITS.map((name) => [name, limits[name]]));
}

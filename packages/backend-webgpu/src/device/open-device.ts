// From a GPU entry point to a device with everything that its adapter offers, and what that is, as data.
import { XMoEError } from '@xmoe/core';
import { openGpu } from './open-gpu.js';
import { traitsOf, type DeviceTraits } from './traits.js';

export interface OpenDeviceOptions {
  /** Use this device: it stays the caller's, who destroys it. */
  device?: GPUDevice;
  /** Which adapter to ask for. Default `high-performance`. */
  powerPreference?: GPUPowerPreference;
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
export async function openDevice({ device: given, powerPreference = 'high-performance' }: OpenDeviceOptions = {}): Promise<OpenedDevice> {
  if (given) return { device: given, traits: traitsOf(given, given.adapterInfo), owned: false };
  const gpu = await openGpu();
  const adapter = await gpu.requestAdapter({ powerPreference });
  if (!adapter) {
    throw new XMoEError('backend', 'WebGPU finds no adapter on this machine', {
      op: 'webgpu',
      hint: 'install the driver of the GPU (Vulkan on Linux, with libvulkan1), or a software adapter; the README says how',
    });
  }
  const device = await adapter.requestDevice({
    requiredFeatures: FEATURES.filter((name) => adapter.features.has(name)) as GPUFeatureName[],
    requiredLimits: everyLimit(adapter.limits),
  });
  return { device, traits: traitsOf(device, adapter.info), owned: true };
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

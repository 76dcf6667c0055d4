// The public surface of @xmoe/backend-webgpu.
export { createWebGpuBackend, type WebGpuBackend, type WebGpuBackendOptions } from './backend.js';
export { openGpuDevice, type OpenDeviceOptions, type OpenedDevice } from './device/open-device.js';
export type { DeviceTraits, SubgroupMatrixShape } from './device/traits.js';
export { openGpu } from './device/open-gpu.js';

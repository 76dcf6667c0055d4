// Kinds of GPU for the mock, as data: what an adapter of each reports. Not measured; from documentation and public reports.

export interface DeviceProfile {
  readonly limits: Readonly<Record<string, number>>;
  readonly features: readonly string[];
  readonly info: Readonly<Record<string, unknown>>;
}

const LIMITS = {
  maxBufferSize: 2 ** 38, maxStorageBufferBindingSize: 2 ** 31 - 4, maxStorageBuffersPerShaderStage: 16, maxComputeWorkgroupStorageSize: 49152,
  maxComputeInvocationsPerWorkgroup: 1024, maxComputeWorkgroupSizeX: 1024, maxComputeWorkgroupSizeY: 1024, maxComputeWorkgroupSizeZ: 64,
  maxComputeWorkgroupsPerDimension: 65535, minStorageBufferOffsetAlignment: 32, minUniformBufferOffsetAlignment: 64,
};

const F16_TO = (resultComponentType: string) => ({ componentType: 'f16', resultComponentType, M: 16, N: 16, K: 16 });

/** A data-centre GPU as Dawn shows it: half precision, subgroups of 32, subgroup matrices. */
export const LARGE_GPU: DeviceProfile = {
  limits: LIMITS,
  features: ['shader-f16', 'subgroups', 'timestamp-query', 'chromium-experimental-subgroup-matrix'],
  info: {
    vendor: 'mock', architecture: 'large', device: 'mock GPU', description: 'executes nothing', subgroupMinSize: 32, subgroupMaxSize: 32,
    subgroupMatrixConfigs: [F16_TO('f16'), F16_TO('f32')],
  },
};

/** The least that WebGPU promises: no extensions, 128 MiB per binding, 8 buffers, 16 KiB of workgroup memory, 256 threads. */
export const SMALLEST_GPU: DeviceProfile = {
  limits: {
    ...LIMITS, maxBufferSize: 2 ** 28, maxStorageBufferBindingSize: 2 ** 27, maxStorageBuffersPerShaderStage: 8, maxComputeWorkgroupStorageSize: 16384,
    maxComputeInvocationsPerWorkgroup: 256, maxComputeWorkgroupSizeX: 256, maxComputeWorkgroupSizeY: 256,
    minStorageBufferOffsetAlignment: 256, minUniformBufferOffsetAlignment: 256,
  },
  features: [],
  info: { vendor: 'mock', architecture: 'small', device: 'smallest mock GPU', description: 'executes nothing' },
};

// What a device can do, as data: kernels choose tiles and variants by it and never ask the device again.

/** A matrix shape that subgroups multiply in one instruction: float16 operands, float32 sums. */
export interface SubgroupMatrixShape {
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

export interface DeviceTraits {
  /** For people, and for the file of measured choices: which GPU, and its driver as far as that is known. */
  readonly label: string;
  /** Computed by a CPU (lavapipe, SwiftShader, WARP): used only when asked for. */
  readonly software: boolean;
  readonly float16: boolean;
  /** float32 beyond the range of float16 is stored there as an infinity; where not, kernels say so. */
  readonly halfOverflows: boolean;
  readonly subgroups: boolean;
  /** Smallest and largest number of lanes that run together; 1 without subgroups. */
  readonly subgroupMinSize: number;
  readonly subgroupMaxSize: number;
  readonly timestamps: boolean;
  /** Largest single binding, in bytes. Larger buffers are bound in windows. */
  readonly bindingBytes: number;
  readonly bufferBytes: number;
  /** Storage buffers that one kernel may bind. */
  readonly maxStorageBuffers: number;
  readonly workgroupMemoryBytes: number;
  readonly maxInvocations: number;
  readonly maxGroupsPerDimension: number;
  /** Bytes that the offset of a storage binding must be a multiple of. */
  readonly bindingAlignment: number;
  readonly argumentAlignment: number;
  readonly subgroupMatrix: readonly SubgroupMatrixShape[];
}

/** Names of adapters that are CPUs; `isFallbackAdapter` says so too where it is set. */
const SOFTWARE = /llvmpipe|lavapipe|swiftshader|basic render|warp/i;

/** Experimental: not in the types yet. */
interface MatrixConfiguration extends SubgroupMatrixShape {
  readonly componentType: string;
  readonly resultComponentType: string;
}
type Info = GPUAdapterInfo & { readonly subgroupMatrixConfigs?: Iterable<MatrixConfiguration> };

/** Whether a CPU plays this adapter. */
export function isSoftware(info: Pick<GPUAdapterInfo, 'vendor' | 'architecture' | 'device' | 'description'> & { readonly isFallbackAdapter?: boolean }): boolean {
  return info.isFallbackAdapter === true || SOFTWARE.test([info.vendor, info.architecture, info.device, info.description].filter(Boolean).join(' '));
}

/** For people: Dawn's description names the driver alone, which several GPUs share; pages often see vendor and architecture only. */
export function labelOf({ vendor, architecture, device, description }: Pick<GPUAdapterInfo, 'vendor' | 'architecture' | 'device' | 'description'>): string {
  return [device || [vendor, architecture].filter(Boolean).join(' '), description].filter(Boolean).join(', ') || 'unnamed adapter';
}

export function traitsOf(device: GPUDevice, info: Info, halfOverflows: boolean): DeviceTraits {
  const { features, limits } = device;
  const subgroups = features.has('subgroups');
  const matrices = features.has('chromium-experimental-subgroup-matrix' as GPUFeatureName) ? [...(info.subgroupMatrixConfigs ?? [])] : [];
  return {
    label: labelOf(info),
    software: isSoftware(info),
    float16: features.has('shader-f16'),
    halfOverflows,
    subgroups,
    subgroupMinSize: subgroups ? (info.subgroupMinSize ?? 4) : 1,
    subgroupMaxSize: subgroups ? (info.subgroupMaxSize ?? 128) : 1,
    timestamps: features.has('timestamp-query'),
    bindingBytes: limits.maxStorageBufferBindingSize,
    bufferBytes: limits.maxBufferSize,
    maxStorageBuffers: limits.maxStorageBuffersPerShaderStage,
    workgroupMemoryBytes: limits.maxComputeWorkgroupStorageSize,
    maxInvocations: limits.maxComputeInvocationsPerWorkgroup,
    maxGroupsPerDimension: limits.maxComputeWorkgroupsPerDimension,
    bindingAlignment: limits.minStorageBufferOffsetAlignment,
    argumentAlignment: limits.minUniformBufferOffsetAlignment,
    subgroupMatrix: matrices.filter(({ componentType, resultComponentType }) => componentType === 'f16' && resultComponentType === 'f32'),
  };
}

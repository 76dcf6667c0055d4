// Bind groups by layout and buffers, made once: making one costs five times a dispatch with a cached one.
import type { DeviceBlock } from './buffers.js';
import type { CompiledProgram } from './pipelines.js';

/** A block, or the bytes [offset, offset + bytes) of it. */
export interface BoundBlock {
  readonly block: DeviceBlock;
  readonly offset: number;
  /** 0: up to the end. */
  readonly bytes: number;
}

const MOST_GROUPS = 32768;

export interface BindGroups {
  get(program: CompiledProgram, bound: readonly BoundBlock[]): GPUBindGroup;
  /** A block is destroyed: groups on it must go. */
  forget(): void;
}

export function createBindGroups(device: GPUDevice): BindGroups {
  const groups = new Map<string, GPUBindGroup>();
  return {
    get({ pattern, layout }, bound) {
      let key = pattern;
      for (const { block, offset, bytes } of bound) key += bytes === 0 ? `,${block.id}` : `,${block.id}@${offset}+${bytes}`;
      const existing = groups.get(key);
      if (existing) return existing;
      if (groups.size >= MOST_GROUPS) groups.clear();
      const entries = bound.map(({ block, offset, bytes }, binding): GPUBindGroupEntry => ({
        binding,
        resource: bytes === 0 ? { buffer: block.gpu } : { buffer: block.gpu, offset, size: bytes },
      }));
      const group = device.createBindGroup({ layout, entries });
      groups.set(key, group);
      return group;
    },
    forget: () => groups.clear(),
  };
}

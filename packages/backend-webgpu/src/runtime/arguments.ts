// The small arguments of programs, as uniform blocks. Equal contents share one block, which is written once: a training step
// repeats the arguments of the step before, so in the steady state nothing is uploaded.
import type { Program } from './program.js';

/** Bytes of a block: 64 fields, and the largest alignment that WebGPU lets a device ask for. */
const BLOCK_BYTES = 256;
const BLOCKS_PER_BUFFER = 256;
/** So many different blocks, then all are forgotten: shapes that change all the time must not fill the memory. */
const MOST_BLOCKS = 65536;

export interface ArgumentBlocks {
  /** The bind group of the program's arguments; null for a program without any. */
  get(program: Program, values: Readonly<Record<string, number>>): GPUBindGroup | null;
}

export function createArgumentBlocks(device: GPUDevice, layout: GPUBindGroupLayout): ArgumentBlocks {
  const words = new Uint32Array(BLOCK_BYTES / 4);
  const floats = new Float32Array(words.buffer);
  const integers = new Int32Array(words.buffer);
  const groups = new Map<string, GPUBindGroup>();
  let buffer: GPUBuffer | undefined;
  let used = BLOCKS_PER_BUFFER;

  function pack({ name, args, argNames }: Program, values: Readonly<Record<string, number>>): string {
    let key = '';
    for (let index = 0; index < argNames.length; index++) {
      const field = argNames[index]!;
      const value = values[field];
      if (value === undefined) throw new TypeError(`${name}: no value for the argument ${field}`);
      if (args[field] === 'f32') floats[index] = value;
      else if (args[field] === 'i32') integers[index] = value;
      else words[index] = value;
      key += `${words[index]},`;
    }
    return key;
  }

  function write(count: number): GPUBindGroup {
    // Bind groups keep their buffer: one that is full or forgotten needs no care.
    if (groups.size >= MOST_BLOCKS) groups.clear();
    if (!buffer || used === BLOCKS_PER_BUFFER) {
      buffer = device.createBuffer({ label: 'arguments', size: BLOCK_BYTES * BLOCKS_PER_BUFFER, usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST });
      used = 0;
    }
    const offset = used++ * BLOCK_BYTES;
    device.queue.writeBuffer(buffer, offset, words, 0, count);
    return device.createBindGroup({ layout, entries: [{ binding: 0, resource: { buffer, offset, size: BLOCK_BYTES } }] });
  }

  return {
    get(program, values) {
      const count = program.argNames.length;
      if (count === 0) return null;
      const key = pack(program, values);
      const existing = groups.get(key);
      if (existing) return existing;
      const group = write(count);
      groups.set(key, group);
      return group;
    },
  };
}

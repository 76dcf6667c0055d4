// What kernels see of the device: programs, launches, scratch, traits. Kernels are functions of this interface alone.
import { sizeOf, XMoEError, type DType, type Operand } from '@xmoe/core';
import type { DeviceTraits } from '../device/traits.js';
import type { ArgumentBlocks } from './arguments.js';
import type { BindGroups, BoundBlock } from './bind-groups.js';
import { blockOf, DEVICE_BYTES } from './buffers.js';
import type { Command } from './command-stream.js';
import type { CompiledProgram, Pipelines } from './pipelines.js';
import { ELEMENT_GROUP, type ProgramSpec } from './program.js';

/** `length` elements of an operand from element `start` on, bound alone: for operands beyond the largest binding. */
export interface Window {
  readonly operand: Operand;
  readonly start: number;
  readonly length: number;
}

export type Binding = Operand | Window;

/** Workgroups in x, y and z. */
export type Groups = readonly [number, number?, number?];

export interface Runtime {
  readonly traits: DeviceTraits;
  /** The program of this name. `spec` runs at its first use only: `name` must tell all variants apart. */
  program(name: string, spec: () => ProgramSpec): CompiledProgram;
  /**
   * Launches `program`. All its buffers and arguments by name; others are ignored. Nothing happens when a number of groups is 0.
   * `flops`: about how many, where they are what takes the time. Error `memory` for an operand beyond the largest binding.
   */
  run(
    program: CompiledProgram, buffers: Readonly<Record<string, Binding | null | undefined>>, args: Readonly<Record<string, number>>, groups: Groups, flops?: number,
  ): void;
  /**
   * Launches a `perElement` program over `length` elements, in windows where operands of that size are beyond the largest
   * binding. Sets `args.length` and, where the program has it, `args.start`: the index of the window's first element.
   */
  runElements(program: CompiledProgram, buffers: Readonly<Record<string, Operand>>, args: Readonly<Record<string, number>>, length: number): void;
  /** Groups for `count` workgroups in a row; the kernel computes `group.y * groups.x + group.x` and compares it with the count. */
  fold(count: number): Groups;
  /** A temporary with undefined contents, freed when the kernel returns. */
  scratch(dtype: DType, shape: readonly number[]): Operand;
}

export interface RuntimeParts {
  readonly device: GPUDevice;
  readonly traits: DeviceTraits;
  readonly pipelines: Pipelines;
  readonly bindGroups: BindGroups;
  readonly argumentBlocks: ArgumentBlocks;
  readonly issue: (command: Command) => void;
  readonly allocate: (dtype: DType, length: number) => Operand['buffer'];
  readonly free: (buffer: Operand['buffer']) => void;
}

export class DeviceRuntime implements Runtime {
  readonly traits: DeviceTraits;
  readonly #parts: RuntimeParts;
  readonly #temporaries: Operand['buffer'][] = [];

  constructor(parts: RuntimeParts) {
    this.traits = parts.traits;
    this.#parts = parts;
  }

  /** Runs a kernel and frees its scratch. */
  call(kernel: () => void): void {
    try {
      kernel();
    } finally {
      for (const buffer of this.#temporaries.splice(0)) this.#parts.free(buffer);
    }
  }

  program(name: string, spec: () => ProgramSpec): CompiledProgram {
    return this.#parts.pipelines.get(name, spec);
  }

  run(
    program: CompiledProgram, buffers: Readonly<Record<string, Binding | null | undefined>>, args: Readonly<Record<string, number>>, groups: Groups, flops = 0,
  ): void {
    const [x, y = 1, z = 1] = groups;
    if (x === 0 || y === 0 || z === 0 || this.#parts.pipelines.collecting) return;
    const { bindGroups, argumentBlocks, issue } = this.#parts;
    const bound = program.bufferNames.map((name) => this.#bind(program, name, buffers[name]));
    issue({
      name: program.name,
      pipeline: program.pipeline,
      bindings: bindGroups.get(program, bound),
      args: argumentBlocks.get(program, args),
      groups: [x, y, z],
      flops,
      blocks: bound.map(({ block }) => block),
    });
  }

  runElements(program: CompiledProgram, buffers: Readonly<Record<string, Operand>>, args: Readonly<Record<string, number>>, length: number): void {
    const windowed = Object.entries(buffers).filter(([, operand]) => sizeOf(operand.shape) === length);
    const widest = Math.max(1, ...windowed.map(([, { dtype }]) => DEVICE_BYTES[dtype]));
    const step = Math.floor(this.traits.bindingBytes / widest / ELEMENT_GROUP) * ELEMENT_GROUP;
    if (length <= step) {
      this.run(program, buffers, { ...args, start: 0, length }, this.fold(Math.ceil(length / ELEMENT_GROUP)));
      return;
    }
    for (let start = 0; start < length; start += step) {
      const part = Math.min(step, length - start);
      const windows = windowed.map(([name, operand]): [string, Window] => [name, { operand, start, length: part }]);
      this.run(program, { ...buffers, ...Object.fromEntries(windows) }, { ...args, start, length: part }, this.fold(Math.ceil(part / ELEMENT_GROUP)));
    }
  }

  fold(count: number): Groups {
    const x = Math.min(count, this.traits.maxGroupsPerDimension);
    return x === 0 ? [0] : [x, Math.ceil(count / x)];
  }

  scratch(dtype: DType, shape: readonly number[]): Operand {
    const buffer = this.#parts.allocate(dtype, sizeOf(shape));
    this.#temporaries.push(buffer);
    return { buffer, shape, dtype };
  }

  #bind(program: CompiledProgram, name: string, binding: Binding | null | undefined): BoundBlock {
    if (!binding) throw new TypeError(`${program.name}: no buffer for ${name}`);
    if ('operand' in binding) {
      const size = DEVICE_BYTES[binding.operand.dtype];
      // Up to the end of the last vec4: buffers are padded.
      return { block: blockOf(binding.operand, this.#parts.device), offset: binding.start * size, bytes: Math.ceil((binding.length * size) / 16) * 16 };
    }
    const block = blockOf(binding, this.#parts.device);
    if (block.bytes <= this.traits.bindingBytes) return { block, offset: 0, bytes: 0 };
    const needed = Math.ceil((sizeOf(binding.shape) * DEVICE_BYTES[binding.dtype]) / 16) * 16;
    if (needed <= this.traits.bindingBytes) return { block, offset: 0, bytes: needed };
    throw new XMoEError('memory', `${name} ${binding.dtype} [${binding.shape.join(', ')}] has ${needed} bytes, the device binds at most ${this.traits.bindingBytes}`, {
      op: program.name,
      hint: 'use a smaller batch, or an op that works in chunks',
    });
  }
}

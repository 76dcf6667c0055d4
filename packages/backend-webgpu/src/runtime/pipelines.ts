// Compiles programs, once each. A shader that does not compile is found later (WebGPU reports it so): the failure is kept for
// the next read, which raises it with the numbered source.
import { XMoEError } from '@xmoe/core';
import { compiling, type Failures } from './failures.js';
import { createProgram, numbered, type Program, type ProgramSpec } from './program.js';

export interface CompiledProgram extends Program {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

export interface Pipelines {
  /** The program `name`; `spec` is asked for at its first use only, so `name` must tell all variants apart. */
  get(name: string, spec: () => ProgramSpec): CompiledProgram;
  /**
   * Compiles what `collect` asks for and is not compiled yet, all at once. Launches are nothing meanwhile. What did not compile, in a line, is
   * no failure: whoever uses it compiles it again.
   */
  ahead(collect: () => void): Promise<string | undefined>;
  /** `collect` runs. */
  readonly collecting: boolean;
  readonly argumentLayout: GPUBindGroupLayout;
  /** Programs compiled so far. */
  readonly size: number;
}

/** Layouts of bind groups: one per pattern of buffers, and what a program is compiled from. */
function createLayouts(device: GPUDevice) {
  const byPattern = new Map<string, GPUBindGroupLayout>();
  const argumentLayout = device.createBindGroupLayout({
    label: 'arguments',
    entries: [{ binding: 0, visibility: GPUShaderStage.COMPUTE, buffer: { type: 'uniform' } }],
  });

  function layoutOf(pattern: string): GPUBindGroupLayout {
    const existing = byPattern.get(pattern);
    if (existing) return existing;
    const entries = [...pattern].map((letter, binding): GPUBindGroupLayoutEntry => ({
      binding,
      visibility: GPUShaderStage.COMPUTE,
      buffer: { type: letter === 'r' ? 'read-only-storage' : 'storage' },
    }));
    const layout = device.createBindGroupLayout({ label: pattern, entries });
    byPattern.set(pattern, layout);
    return layout;
  }

  function describe({ name, source, pattern, argNames }: Program): { layout: GPUBindGroupLayout; module: GPUShaderModule; descriptor: GPUComputePipelineDescriptor } {
    const layout = layoutOf(pattern);
    const bindGroupLayouts = argNames.length > 0 ? [layout, argumentLayout] : [layout];
    const module = device.createShaderModule({ label: name, code: source });
    return { layout, module, descriptor: { label: name, layout: device.createPipelineLayout({ bindGroupLayouts }), compute: { module, entryPoint: 'main' } } };
  }

  return { argumentLayout, layoutOf, describe };
}

export function createPipelines(device: GPUDevice, failures: Failures, halfOverflows = true): Pipelines {
  const programs = new Map<string, CompiledProgram>();
  const { argumentLayout, layoutOf, describe } = createLayouts(device);
  let collected: Map<string, Program> | undefined;

  /** What is wrong with it, in a line. */
  async function compileAhead(program: Program): Promise<string | undefined> {
    const { made, error } = compiling(device, () => {
      const { layout, descriptor } = describe(program);
      return { layout, pending: device.createComputePipelineAsync(descriptor) };
    });
    try {
      programs.set(program.name, { ...program, pipeline: await made.pending, layout: made.layout });
      return undefined;
    } catch (problem) {
      return ((await error)?.message ?? String(problem)).split('\n')[0];
    }
  }

  function compile(program: Program): CompiledProgram {
    const { made: { layout, module, pipeline }, error } = compiling(device, () => {
      const { layout, module, descriptor } = describe(program);
      return { layout, module, pipeline: device.createComputePipeline(descriptor) };
    });
    failures.watch(error.then(async (found) => found && shaderError(program, await messagesOf(module), found.message)));
    return { ...program, pipeline, layout };
  }

  return {
    argumentLayout,
    get collecting() {
      return collected !== undefined;
    },
    async ahead(collect) {
      const wanted = (collected = new Map<string, Program>());
      try {
        collect();
      } finally {
        collected = undefined;
      }
      return (await Promise.all([...wanted.values()].map(compileAhead))).find((problem) => problem !== undefined);
    },
    get size() {
      return programs.size;
    },
    get(name, spec) {
      const existing = programs.get(name);
      if (existing) return existing;
      const program = createProgram(name, spec(), halfOverflows);
      if (collected) {
        collected.set(name, program);
        // Nobody launches it.
        return { ...program, layout: layoutOf(program.pattern), pipeline: undefined as unknown as GPUComputePipeline };
      }
      const compiled = compile(program);
      programs.set(name, compiled);
      return compiled;
    },
  };
}

async function messagesOf(module: GPUShaderModule): Promise<string[]> {
  const { messages } = await module.getCompilationInfo();
  return messages.filter(({ type }) => type === 'error').map(({ lineNum, linePos, message }) => `line ${lineNum}:${linePos}: ${message}`);
}

function shaderError(program: Program, messages: readonly string[], summary: string): XMoEError {
  const problems = messages.length > 0 ? messages.join('\n') : summary;
  return new XMoEError('backend', `the kernel ${program.name} does not compile\n${problems}\n${numbered(program.source)}`, {
    op: 'webgpu',
    hint: 'this is a mistake in xmoe or in the driver: please report it with the lines above',
  });
}

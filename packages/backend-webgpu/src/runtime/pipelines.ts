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
  readonly argumentLayout: GPUBindGroupLayout;
  /** Programs compiled so far. */
  readonly size: number;
}

export function createPipelines(device: GPUDevice, failures: Failures): Pipelines {
  const programs = new Map<string, CompiledProgram>();
  const layouts = new Map<string, GPUBindGroupLayout>();
  const argumentLayout = device.createBindGroupLayout({
    label: 'arguments',
    entries: [{ binding: 0, visibility: GPUShaderStage.COMPUTE, buffer: { type: 'uniform' } }],
  });

  function layoutOf(pattern: string): GPUBindGroupLayout {
    const existing = layouts.get(pattern);
    if (existing) return existing;
    const entries = [...pattern].map((letter, binding): GPUBindGroupLayoutEntry => ({
      binding,
      visibility: GPUShaderStage.COMPUTE,
      buffer: { type: letter === 'r' ? 'read-only-storage' : 'storage' },
    }));
    const layout = device.createBindGroupLayout({ label: pattern, entries });
    layouts.set(pattern, layout);
    return layout;
  }

  function compile(program: Program): CompiledProgram {
    const layout = layoutOf(program.pattern);
    const bindGroupLayouts = program.argNames.length > 0 ? [layout, argumentLayout] : [layout];
    const { made: { module, pipeline }, error } = compiling(device, () => {
      const code = device.createShaderModule({ label: program.name, code: program.source });
      const compute = { module: code, entryPoint: 'main' };
      return { module: code, pipeline: device.createComputePipeline({ label: program.name, layout: device.createPipelineLayout({ bindGroupLayouts }), compute }) };
    });
    failures.watch(error.then(async (found) => found && shaderError(program, await messagesOf(module), found.message)));
    return { ...program, pipeline, layout };
  }

  return {
    argumentLayout,
    get size() {
      return programs.size;
    },
    get(name, spec) {
      const existing = programs.get(name);
      if (existing) return existing;
      const compiled = compile(createProgram(name, spec()));
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

// The support table in the README is what the backends really do. UPDATE_SUPPORT=1 rewrites it.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createCpuBackend } from '@xmoe/backend-cpu';
import { createWasmKernels } from '../packages/backend-cpu/src/engine/kernels/index.js';
import { createKernels as createWebGpuKernels } from '../packages/backend-webgpu/src/kernels/index.js';
import type { Runtime } from '../packages/backend-webgpu/src/runtime/runtime.js';
import type { WasmRuntime } from '../packages/backend-cpu/src/engine/runtime.js';
import { tfjsSupport, type Support } from '@xmoe/backend-tfjs';
import { type KernelName, type Kernels } from '@xmoe/core';
import { createFallbacks } from '@xmoe/core/backend';
import { conformanceCases } from '@xmoe/testing';
import { expect, it } from 'vitest';

const readme = fileURLToPath(new URL('../README.md', import.meta.url));
const [begin, end] = ['<!-- support:begin -->', '<!-- support:end -->'];

function table(): string {
  const cpu = createCpuBackend();
  const fused = createFallbacks(cpu);
  // Only the names matter: no kernel runs here.
  const compiled = createWasmKernels({ variant: 'relaxed', threads: 1 } as WasmRuntime, cpu.kernels as Kernels);
  const webgpu = createWebGpuKernels({ traits: { workgroupMemoryBytes: 16384, maxInvocations: 256 } } as Runtime);
  const names: readonly KernelName[] = [...new Set(conformanceCases().map(({ primitive }) => primitive))];
  const word = (support: Support): string => (support === 'composed' ? 'fallback' : support);
  const rows = names.map((name) => {
    const { wasm, cpu: plain, node, cuda } = tfjsSupport[name];
    const tensorflow = node === cuda ? word(cuda) : `${word(node)}, ${word(cuda)}`;
    const label = name in fused ? `${name} (fused)` : name;
    return `| ${label} | ${name in compiled ? 'native' : 'host'} | ${name in cpu.kernels ? 'native' : 'fallback'} | ${name in webgpu ? 'native' : 'fallback'} | ${word(wasm)} | ${word(plain)} | ${tensorflow} |`;
  });
  return ['| primitive | cpu:wasm | cpu:plain | webgpu | tfjs:wasm | tfjs:cpu | tfjs:node, tfjs:cuda |', '|---|---|---|---|---|---|---|', ...rows].join('\n');
}

it('says what each backend does', () => {
  const text = readFileSync(readme, 'utf8');
  const [from, to] = [text.indexOf(begin) + begin.length, text.indexOf(end)];
  const expected = `\n${table()}\n`;
  if (process.env.UPDATE_SUPPORT) writeFileSync(readme, text.slice(0, from) + expected + text.slice(to));
  else expect(text.slice(from, to)).toBe(expected);
});

// The mock GPU says what a program does wrong, counts what it is asked for, and fails as a device fails.
import { describe, expect, it } from 'vitest';
import { createMockGpu, flopsOf, LARGE_GPU, SMALLEST_GPU, type MockGpu } from '@xmoe/testing';
import { createWebGpuBackend } from '@xmoe/backend-webgpu';

const SOURCE = `struct Args { length: u32, factor: f32, shift: i32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> args: Args;
const THREADS = 64u;
@compute @workgroup_size(THREADS) fn main() { out[0] = vec4f(x[0]); }`;

interface Bound {
  buffer: GPUBuffer;
  offset?: number;
  size?: number;
}

function launch({ device }: MockGpu, bound: readonly Bound[], groups = 1): void {
  const module = device.createShaderModule({ label: 'copy', code: SOURCE });
  const layout = device.createBindGroupLayout({ entries: [] });
  const pipeline = device.createComputePipeline({ layout: 'auto', compute: { module } });
  const args = device.createBuffer({ size: 256, usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST });
  const words = new Uint32Array([7, 0, 0]);
  new Float32Array(words.buffer)[1] = 0.5;
  new Int32Array(words.buffer)[2] = -3;
  device.queue.writeBuffer(args, 0, words, 0, 3);
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, device.createBindGroup({ layout, entries: bound.map((resource, binding) => ({ binding, resource })) }));
  pass.setBindGroup(1, device.createBindGroup({ layout, entries: [{ binding: 0, resource: { buffer: args } }] }));
  pass.dispatchWorkgroups(groups);
  pass.end();
  device.queue.submit([encoder.finish()]);
}

const storage = ({ device }: MockGpu, size = 1024): GPUBuffer => device.createBuffer({ size, usage: GPUBufferUsage.STORAGE });

describe('the mock GPU', () => {
  it('reads a launch from its program and its arguments', () => {
    const gpu = createMockGpu(SMALLEST_GPU);
    launch(gpu, [{ buffer: storage(gpu) }, { buffer: storage(gpu), offset: 256, size: 512 }], 3);
    const [[found]] = gpu.submits as [[MockGpu['submits'][0][0]]];
    expect(found).toMatchObject({ name: 'copy', args: { length: 7, factor: 0.5, shift: -3 }, groups: [3, 1, 1] });
    expect(found.program.threads).toBe(64);
    expect(found.bindings.map(({ name, access, type, offset, bytes }) => [name, access, type, offset, bytes])).toEqual([
      ['x', 'read', 'f32', 0, 1024], ['out', 'read_write', 'vec4<f32>', 256, 512],
    ]);
    expect([gpu.counts.launches, gpu.counts.submits, [...gpu.problems]]).toEqual([1, 1, []]);
  });

  it.each<[string, (gpu: MockGpu) => Bound[], number]>([
    ['out is in the buffer of x', (gpu) => Array<Bound>(2).fill({ buffer: storage(gpu) }), 1],
    // Whatever parts are read and written.
    ['out is in the buffer of x', (gpu) => [{ buffer: storage(gpu), offset: 0, size: 256 }].flatMap((one) => [one, { ...one, offset: 512 }]), 1],
    ['x ends 128 bytes beyond its buffer', (gpu) => [{ buffer: storage(gpu), offset: 896 - 128, size: 384 }, { buffer: storage(gpu) }], 1],
    ['x begins at 128, no multiple of 256', (gpu) => [{ buffer: storage(gpu), offset: 128, size: 256 }, { buffer: storage(gpu) }], 1],
    [`x binds ${2 ** 27 + 256} bytes of at most ${2 ** 27}`, (gpu) => [{ buffer: storage(gpu, 2 ** 27 + 256) }, { buffer: storage(gpu) }], 1],
    ['workgroups 65536 × 1 × 1', (gpu) => [{ buffer: storage(gpu) }, { buffer: storage(gpu) }], 65536],
    ['1 of 2 buffers are bound', (gpu) => [{ buffer: storage(gpu) }], 1],
  ])('notices that %s', (problem, bind, groups) => {
    const gpu = createMockGpu(SMALLEST_GPU);
    launch(gpu, bind(gpu), groups);
    expect([...gpu.problems.keys()]).toContainEqual(expect.stringContaining(`copy: ${problem}`));
  });

  it('notices buffers that are destroyed before their commands are submitted, and counts memory', () => {
    const gpu = createMockGpu(SMALLEST_GPU);
    const [x, out] = [storage(gpu), storage(gpu)];
    expect(gpu.memory).toMatchObject({ bytes: 2048, peakBytes: 2048, made: 2 });
    x.destroy();
    x.destroy();
    expect(gpu.memory).toMatchObject({ bytes: 1024, peakBytes: 2048 });
    launch(gpu, [{ buffer: x }, { buffer: out }]);
    expect([...gpu.problems.keys()]).toEqual(['copy: x is in a buffer that is gone']);
  });

  it('refuses memory as a device does: in the innermost scope for it, with an invalid buffer', async () => {
    const gpu = createMockGpu(SMALLEST_GPU);
    gpu.memoryLimit = 1500;
    const fine = storage(gpu);
    gpu.device.pushErrorScope('out-of-memory');
    gpu.device.pushErrorScope('validation');
    const refused = storage(gpu);
    expect(await gpu.device.popErrorScope()).toBeNull();
    expect((await gpu.device.popErrorScope())?.message).toContain('1024 bytes');
    launch(gpu, [{ buffer: fine }, { buffer: refused }]);
    expect([...gpu.problems.keys()]).toEqual(['copy: out is in a buffer that is gone']);
  });

  it('counts the arithmetic of products', async () => {
    const gpu = createMockGpu(LARGE_GPU);
    const backend = await createWebGpuBackend({ device: gpu.device, tuning: 'off' });
    gpu.reset();
    const make = (shape: readonly number[]) => ({ buffer: backend.allocate('float32', shape.reduce((a, b) => a * b)), shape, dtype: 'float32' as const });
    backend.kernels.matmul({ a: make([2, 30, 20]), b: make([2, 20, 50]) }, { out: make([2, 30, 50]) }, { transposeA: false, transposeB: false });
    const [q, k, v, out] = Array.from({ length: 4 }, () => make([6, 40, 16]));
    backend.kernels.attention!(
      { q: q!, k: k!, v: v!, keyMask: null, key: null },
      { out: out!, stats: make([6, 40]) }, { heads: 3, causal: true, scale: 1, dropoutRate: 0, stream: 0 },
    );
    await backend.read(make([1]));
    expect(gpu.submits.flat().map(flopsOf)).toEqual([2 * 2 * 30 * 20 * 50, 2 * 2 * 6 * 40 * 40 * 16 / 2]);
    backend.dispose();
  });
});

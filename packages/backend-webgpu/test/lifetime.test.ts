// How the backend fails and ends: errors that WebGPU reports late, a lost device, disposal, borrowed devices, the end of the process.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { XMoEError, type Kernels } from '@xmoe/core';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createWebGpuBackend, openGpuDevice, type WebGpuBackend, type WebGpuBackendOptions } from '../src/index.js';
import { createFailures } from '../src/runtime/failures.js';
import { createPipelines } from '../src/runtime/pipelines.js';
import { writes } from '../src/runtime/program.js';
import { webGpuAdapter } from './adapter.js';
import { contents, operand, release } from './operands.js';

const { available, reason } = await webGpuAdapter();
const open: WebGpuBackend[] = [];

async function create(options: WebGpuBackendOptions = {}): Promise<{ backend: WebGpuBackend; kernels: Kernels }> {
  const backend = await createWebGpuBackend(options);
  open.push(backend);
  return { backend, kernels: backend.kernels as Kernels };
}

afterEach(() => {
  vi.restoreAllMocks();
  for (const backend of open.splice(0)) backend.dispose();
});

const failureOf = async (work: () => unknown): Promise<unknown> => {
  try {
    await work();
  } catch (error) {
    return error;
  }
  return undefined;
};

async function squares(backend: WebGpuBackend): Promise<number[]> {
  const [x, out] = [operand(backend, [3], [1, 2, 3]), operand(backend, [3])];
  (backend.kernels as Kernels).unary({ x }, { out }, { op: 'square' });
  const found = await contents(backend, out);
  release(backend, x, out);
  return found;
}

describe.skipIf(!available)(`failures, on ${reason}`, () => {
  it('a shader that does not compile is raised with its name, the place and the numbered source', async () => {
    const { backend } = await create();
    const failures = createFailures(backend.device);
    const pipelines = createPipelines(backend.device, failures);
    const code = '@compute @workgroup_size(1)\nfn main() {\n  out[0] = missing + 1.0;\n}';
    pipelines.get('broken variant', () => ({ buffers: { out: writes('f32') }, args: {}, code }));
    const failure = await failureOf(() => failures.settle());
    expect(failure).toBeInstanceOf(XMoEError);
    const { code: kind, message } = failure as XMoEError;
    expect(kind).toBe('backend');
    expect(message).toContain('the kernel broken variant does not compile');
    expect(message).toMatch(/line 4:\d+: .*missing/);
    expect(message).toContain('   4 |   out[0] = missing + 1.0;');
    expect(() => failures.raise()).toThrow(message);
    // It was found before anything ran: other work of the device is not concerned.
    expect(await squares(backend)).toEqual([1, 4, 9]);
  });

  it('a shader that the compiler of the driver gives up is told by name, too', async () => {
    const { backend: { device } } = await create();
    // Such errors are internal ones: they go to the innermost scope for them, or to nobody.
    const scopes: string[] = [];
    vi.spyOn(device, 'pushErrorScope').mockImplementation((filter) => void scopes.push(filter));
    vi.spyOn(device, 'popErrorScope').mockImplementation(() => Promise.resolve(scopes.pop() === 'internal' ? { message: 'no registers left' } as GPUError : null));
    const failures = createFailures(device);
    createPipelines(device, failures).get('heavy variant', () => ({ buffers: { out: writes('f32') }, args: {}, code: '@compute @workgroup_size(1)\nfn main() { out[0] = 1.0; }' }));
    await expect(failures.settle()).rejects.toThrow(/the kernel heavy variant does not compile\nno registers left\n/);
    expect(scopes).toEqual([]);
  });

  it('a mistake that only the device sees is raised by the next read and by the kernels after it', async () => {
    const { backend, kernels } = await create();
    const x = operand(backend, [1], [0]);
    backend.device.createBuffer({ size: 4, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.STORAGE });
    const failure = await failureOf(() => backend.read(x));
    expect(failure).toBeInstanceOf(XMoEError);
    expect(failure).toMatchObject({ code: 'backend', op: 'webgpu' });
    expect(() => kernels.fill({}, { out: x }, { value: 1 })).toThrow((failure as XMoEError).message);
  });

  it('operands of another device are told apart', async () => {
    const [{ backend }, other] = [await create(), await create()];
    const foreign = operand(other.backend, [2], [1, 2]);
    const failure = await failureOf(() => (backend.kernels as Kernels).unary({ x: foreign }, { out: operand(backend, [2]) }, { op: 'negate' }));
    expect(failure).toMatchObject({ code: 'backend' });
    await expect(backend.read(foreign)).rejects.toThrow(/another backend/);
    expect(() => backend.write(foreign, [3, 4])).toThrow(/another backend/);
    expect(await contents(other.backend, foreign)).toEqual([1, 2]);
  });

  it('buffers that are used after they were freed, or freed twice', async () => {
    const { backend, kernels } = await create();
    const x = operand(backend, [2], [1, 2]);
    release(backend, x);
    expect(() => release(backend, x)).toThrow(/freed twice/);
    expect(() => kernels.fill({}, { out: x }, { value: 1 })).toThrow(/after its buffer was freed/);
    await expect(backend.read(x)).rejects.toThrow(/after its buffer was freed/);
    const y = operand(backend, [2], [1, 2]);
    expect(() => backend.write(y, [1, 2, 3])).toThrow(/3 values for \[2\]/);
  });
});

describe.skipIf(!available)('a lost device', () => {
  const LOST = { code: 'backend', message: expect.stringContaining('the GPU device was lost') as string };

  it('fails reads under way and later ones, kernels, writes and replays, with an error that says what to do', async () => {
    const { backend, kernels } = await create();
    const x = operand(backend, [2], [1, 2]);
    const recording = backend.record!(() => kernels.fill({}, { out: x }, { value: 3 }));
    const pending = failureOf(() => backend.read(x));
    backend.device.destroy();
    const failures = [await pending, await failureOf(() => backend.read(x))];
    for (const call of [
      () => kernels.fill({}, { out: x }, { value: 1 }), () => backend.write(x, [3, 4]), () => backend.allocate('float32', 1),
      () => 'replay' in recording && recording.replay(),
    ]) failures.push(await failureOf(call));
    for (const failure of failures) {
      expect(failure).toBeInstanceOf(XMoEError);
      expect(failure).toMatchObject(LOST);
      expect((failure as XMoEError).hint).toContain('--resume');
    }
    release(backend, x);
    backend.dispose();
  });

  it('fails a read that begins in the same moment', async () => {
    const { backend, kernels } = await create();
    const x = operand(backend, [2], [1, 2]);
    kernels.fill({}, { out: x }, { value: 2 });
    backend.device.destroy();
    expect(await failureOf(() => backend.read(x))).toMatchObject(LOST);
  });

  it('is the cause of errors that come before the news of it', async () => {
    const lost = new Promise((resolve) => setTimeout(resolve, 10, { reason: 'unknown', message: 'it fell off the bus' }));
    const failures = createFailures({ lost, addEventListener: () => undefined } as unknown as GPUDevice);
    expect(await failures.causeOf(new Error('mapping failed'))).toMatchObject(LOST);
    const well = createFailures({ lost: new Promise(() => undefined), addEventListener: () => undefined } as unknown as GPUDevice);
    expect(await well.causeOf(new Error('mapping failed'))).toMatchObject({ code: 'backend', message: expect.stringContaining('mapping failed') as string });
  });

  it('fails the profiler as well', async () => {
    const { backend, kernels } = await create();
    if (!backend.profiler) return;
    backend.profiler.start();
    kernels.fill({}, { out: operand(backend, [2]) }, { value: 2 });
    backend.device.destroy();
    expect(await failureOf(() => backend.profiler!.stop())).toMatchObject(LOST);
  });
});

describe.skipIf(!available)('disposal', () => {
  it('may be followed by a new backend in the same process', async () => {
    for (let i = 0; i < 3; i++) {
      const backend = await createWebGpuBackend();
      expect(await squares(backend)).toEqual([1, 4, 9]);
      backend.dispose();
      backend.dispose();
    }
  });

  it('ends the use of the backend, and its tensors may still be freed', async () => {
    const { backend, kernels } = await create();
    const x = operand(backend, [2], [1, 2]);
    const pending = failureOf(() => backend.read(x));
    backend.dispose();
    const disposed = { code: 'disposed', message: expect.stringContaining('the backend was disposed') as string };
    expect(await pending).toMatchObject(disposed);
    const fill = (): void => kernels.fill({}, { out: x }, { value: 1 });
    for (const call of [() => backend.read(x), fill, () => backend.write(x, [1, 2]), () => backend.allocate('float32', 2)]) {
      expect(await failureOf(call)).toMatchObject(disposed);
    }
    release(backend, x);
    expect(backend.memory().bytes).toBe(0);
  });

  it('of one backend does not concern another', async () => {
    const [{ backend }, other] = [await create(), await create()];
    backend.dispose();
    expect(await squares(other.backend)).toEqual([1, 4, 9]);
  });

  it('leaves a borrowed device to its owner, without the buffers', async () => {
    const { device } = await openGpuDevice();
    const { backend } = await create({ device });
    expect(backend.device).toBe(device);
    const live = operand(backend, [1000], new Float32Array(1000));
    const { gpu } = (live.buffer as unknown as { block: { gpu: GPUBuffer } }).block;
    const destroyed = vi.spyOn(gpu, 'destroy');
    expect(await squares(backend)).toEqual([1, 4, 9]);
    backend.dispose();
    expect(destroyed).toHaveBeenCalledOnce();
    const { backend: second } = await create({ device });
    expect(await squares(second)).toEqual([1, 4, 9]);
    second.dispose();
    const lost = await Promise.race([device.lost, new Promise((resolve) => setTimeout(resolve, 50))]);
    expect(lost).toBeUndefined();
    device.destroy();
  });
});

describe.skipIf(!available)('the profiler', () => {
  it('sums by kernel, for as many launches as there are', async () => {
    const { backend, kernels } = await create();
    if (!backend.profiler) return;
    const [x, out] = [operand(backend, [4, 8], new Float32Array(32)), operand(backend, [4, 8])];
    kernels.fill({}, { out: x }, { value: 1 });
    backend.profiler.start();
    for (let i = 0; i < 2500; i++) kernels.fill({}, { out: x }, { value: 1 });
    for (let i = 0; i < 3; i++) kernels.softmax({ x }, { out });
    const times = await backend.profiler.stop();
    const calls = (primitive: string): number[] => times.filter(({ name }) => name.startsWith(primitive)).map((time) => time.calls);
    expect([calls('fill'), calls('softmax')]).toEqual([[2500], [3]]);
    expect(times).toHaveLength(2);
    expect(times.every(({ milliseconds }) => milliseconds > 0)).toBe(true);
    expect(await contents(backend, out)).toEqual(new Array(32).fill(0.125));
    // A second run starts from nothing, and outside of runs nothing is counted.
    kernels.softmax({ x }, { out });
    backend.profiler.start();
    expect(await backend.profiler.stop()).toEqual([]);
  });
});

describe.skipIf(!available)('a process', () => {
  it.each(['backend.dispose();', ''])('that used the backend ends by itself: %j', async (ending) => {
    const script = `
      import { createWebGpuBackend } from '@xmoe/backend-webgpu';
      const backend = await createWebGpuBackend();
      const x = { buffer: backend.allocate('float32', 3), shape: [3], dtype: 'float32' };
      backend.kernels.fill({}, { out: x }, { value: 5 });
      console.log((await backend.read(x)).join());
      ${ending}`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--conditions=@xmoe/source', '--import', 'tsx', '--input-type=module', '-e', script], { timeout: 50_000 });
    expect(stdout.trim()).toBe('5,5,5');
  });
});

// Every launch of every conformance case, on mock GPUs of several kinds: nothing is bound beyond a limit, at a crooked offset or
// twice. And which kernels have no windows: those refuse operands beyond the largest binding, by name.
import { describe, expect, it } from 'vitest';
import { createWebGpuBackend } from '@xmoe/backend-webgpu';
import { sizeOf, type KernelName, type Kernels } from '@xmoe/core';
import { conformanceCases, createMockGpu, LARGE_GPU, SMALLEST_GPU, type DeviceProfile, type MockGpu } from '@xmoe/testing';

const WITH_HALF = { ...SMALLEST_GPU, features: ['shader-f16'] };

/** Primitives that refused operands, with the first message of each; the GPU that saw the other launches. */
async function launchAll(profile: DeviceProfile, bindingBytes = profile.limits.maxStorageBufferBindingSize): Promise<{ refused: Map<KernelName, string>; gpu: MockGpu; ran: number }> {
  const gpu = createMockGpu({ ...profile, limits: { ...profile.limits, maxStorageBufferBindingSize: bindingBytes! } });
  gpu.keepLaunches = false;
  const backend = await createWebGpuBackend({ device: gpu.device, tuning: 'off' });
  const refused = new Map<KernelName, string>();
  let ran = 0;
  for (const item of conformanceCases()) {
    if (!(item.primitive in backend.kernels)) continue; // made of others, which have cases
    const operands = Object.fromEntries(Object.entries(item.operands).map(([name, { shape, dtype }]) => [name, { buffer: backend.allocate(dtype, sizeOf(shape)), shape, dtype }]));
    try {
      item.run(backend.kernels as Kernels, operands);
      ran++;
    } catch (error) {
      expect(error).toMatchObject({ code: 'memory', message: expect.stringContaining(item.primitive) as string });
      if (!refused.has(item.primitive)) refused.set(item.primitive, (error as Error).message);
    }
    for (const { buffer } of Object.values(operands)) backend.free(buffer);
  }
  await backend.read({ buffer: backend.allocate('float32', 1), shape: [1], dtype: 'float32' });
  backend.dispose();
  return { refused, gpu, ran };
}

/**
 * Kernels that bind something whole: indices, weights and counts of a plan, which are small beside what they route; scans and sorts;
 * and rows (of a softmax, a loss, a reduction) that are longer than a binding.
 */
const WITHOUT_WINDOWS = [
  'combineExpertsGrad', 'cumsum', 'reduce', 'argReduce', 'topK', 'sortByKey', 'bincount', 'softmax', 'softmaxGrad', 'crossEntropyStats', 'crossEntropyGrad', 'thresholdSelect', 'dispatchClaims', 'expertsGrad',
];

describe('every launch', () => {
  it.each([['a large GPU', LARGE_GPU], ['the smallest GPU', WITH_HALF]])('keeps to the rules of %s', async (_, profile) => {
    const { refused, gpu, ran } = await launchAll(profile);
    expect([...refused]).toEqual([]);
    expect([...gpu.problems]).toEqual([]);
    expect(gpu.counts.launches).toBeGreaterThan(ran);
  });

  it('keeps to them in windows of 64 KiB, and kernels without windows refuse by name', async () => {
    const { refused, gpu, ran } = await launchAll(LARGE_GPU, 65536);
    expect([...gpu.problems]).toEqual([]);
    expect(gpu.counts.launches).toBeGreaterThan(ran);
    for (const [primitive, message] of refused) expect(message).toMatch(new RegExp(`^${primitive}.* has \\d+ bytes, the device binds at most 65536`));
    expect([...refused.keys()].filter((name) => !WITHOUT_WINDOWS.includes(name))).toEqual([]);
  });
});

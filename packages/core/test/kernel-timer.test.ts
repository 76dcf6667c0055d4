// The profiler of engines whose backend has none: kernels by name, counted and timed only while it runs.
import { expect, it } from 'vitest';
import { createCpuBackend } from '@xmoe/backend-cpu';
import { add, createEngine, softmax } from '@xmoe/core';

it('counts the calls between start and stop, longest first', async () => {
  const engine = createEngine(createCpuBackend(), { profile: true });
  const x = engine.ones([64, 64]);
  add(x, x);
  engine.profiler!.start();
  for (let i = 0; i < 3; i++) add(x, x);
  softmax(x);
  const times = await engine.profiler!.stop();
  add(x, x);
  expect(Object.fromEntries(times.map(({ name, calls }) => [name, calls]))).toEqual({ binary: 3, softmax: 1 });
  expect(times[0]!.milliseconds).toBeGreaterThanOrEqual(times[1]!.milliseconds);
  expect(times[1]!.milliseconds).toBeGreaterThan(0);
  engine.profiler!.start();
  expect(await engine.profiler!.stop()).toEqual([]);
});

it('is there only when asked for', () => {
  expect(createEngine(createCpuBackend()).profiler).toBeUndefined();
});

// The check of the kernels that are re-vectorised besides products: it passes what is right and notices each one that is not.
import { expect, it } from 'vitest';
import { createCpuBackend, createWasmBackend } from '@xmoe/backend-cpu';
import { joinedResults, joinsRightly } from '../src/engine/joined.js';

it('passes the plain and the compiled kernels, and frees what it took', async () => {
  const plain = createCpuBackend();
  expect(await joinsRightly(plain)).toBe(true);
  const { bytes } = plain.memory();
  expect(await joinsRightly(plain)).toBe(true);
  expect(plain.memory().bytes).toBe(bytes);
  const compiled = await createWasmBackend({ threads: 2, variant: 'relaxed' });
  expect(await joinsRightly(compiled)).toBe(true);
  compiled.dispose();
});

it('calls every kernel before it waits', async () => {
  const plain = createCpuBackend();
  let isSwitched = true;
  const kernels = Object.fromEntries(Object.entries(plain.kernels).map(([name, kernel]) => [name, (...args: never[]) => {
    expect(isSwitched, name).toBe(true);
    (kernel as (...all: never[]) => void)(...args);
  }])) as unknown as typeof plain.kernels;
  const results = joinedResults({ ...plain, kernels });
  isSwitched = false;
  expect((await results).length).toBeGreaterThan(10);
});

it.each(['softmax', 'biasActivation', 'biasActivationGrad', 'crossEntropyGrad', 'attention', 'attentionGrad', 'layerNormGrad', 'expertsBackward', 'adamStep'] as const)(
  'notices a %s that is wrong', async (name) => {
    const plain = createCpuBackend();
    const kernels = { ...plain.kernels, [name]: () => undefined };
    expect(await joinsRightly({ ...plain, kernels })).toBe(false);
  });

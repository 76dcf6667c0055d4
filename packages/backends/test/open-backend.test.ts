// Which backend a name, or the environment in the absence of one, opens. What each can do is tested in its own package.
import { afterEach, expect, it, vi } from 'vitest';
import { defaultBackend, openBackend } from '@xmoe/backends';
import { testLibrary } from '../../backend-cpu/test/native-support.js';

afterEach(() => void vi.unstubAllEnvs());

it('XMOE_BACKEND names the backend where nothing else does', async () => {
  vi.stubEnv('XMOE_BACKEND', 'cpu:plain');
  const { backend } = await openBackend();
  expect(backend.description).toContain('plain TypeScript');
  backend.dispose();
});

it('a name wins over it, also one that leaves the choice open', async () => {
  vi.stubEnv('XMOE_BACKEND', 'nothing');
  for (const name of ['cpu:plain', 'cpu']) {
    const { backend, reason } = await openBackend(name);
    expect(reason).toContain('asked for');
    backend.dispose();
  }
});

it('unset or empty, it is auto', () => {
  vi.stubEnv('XMOE_BACKEND', undefined);
  expect(defaultBackend()).toBe('auto');
  vi.stubEnv('XMOE_BACKEND', '');
  expect(defaultBackend()).toBe('auto');
});

it.each(['cpu:plian', 'CPU', ' ', 'toString'])('refuses the value %j and says where it comes from', async (name) => {
  vi.stubEnv('XMOE_BACKEND', name);
  await expect(openBackend()).rejects.toMatchObject({ code: 'config', message: expect.stringMatching(/^XMOE_BACKEND: there is no backend "/), hint: expect.stringContaining('one of auto, ') });
  await expect(openBackend('nowhere')).rejects.toThrow(/^there is no backend "nowhere"/);
});

const opened = async (name: string): Promise<{ name: string; reason: string }> => {
  const { backend, reason } = await openBackend(name);
  backend.dispose();
  return { name: backend.name, reason };
};

it('without a library cpu is the compiled engine, and says why where XMOE_BLAS names one that is none', async () => {
  expect(await opened('cpu')).toEqual({ name: 'cpu:wasm', reason: expect.stringMatching(/; asked for$/) });
  vi.stubEnv('XMOE_BLAS', '/nowhere/libopenblas.so');
  expect(await opened('cpu')).toEqual({ name: 'cpu:wasm', reason: expect.stringMatching(/; not available: cpu:native \(XMOE_BLAS: .*nowhere.libopenblas\.so: there is no such file\) \(doctor says why\)$/) });
  await expect(openBackend('cpu:native')).rejects.toMatchObject({ code: 'backend', hint: expect.stringContaining('pip install scipy-openblas32') });
});

const library = testLibrary();
it.runIf('file' in library)('with one, cpu and auto take it, and cpu:wasm does not', async () => {
  const { file, name } = library as { file: string; name: string };
  vi.stubEnv('XMOE_BLAS', file);
  for (const left of ['cpu', 'cpu:native']) expect(await opened(left)).toEqual({ name: 'cpu:native', reason: expect.stringContaining(`products by ${name}; asked for`) });
  expect((await opened('cpu:wasm')).name).toBe('cpu:wasm');
  const { name: chosen, reason } = await opened('auto');
  if (!/^webgpu|^tfjs:cuda/.test(chosen)) expect(reason).toContain(`products by ${name}; the fastest here`);
});

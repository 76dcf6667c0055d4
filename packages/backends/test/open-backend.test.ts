// Which backend a name, or the environment in the absence of one, opens. What each can do is tested in its own package.
import { afterEach, expect, it, vi } from 'vitest';
import { defaultBackend, openBackend } from '@xmoe/backends';

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

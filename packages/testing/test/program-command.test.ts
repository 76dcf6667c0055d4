// How tests start programs: from source, or the built one where all has just been built.
import { afterEach, expect, it, vi } from 'vitest';
import { programCommand } from '@xmoe/testing/programs';

afterEach(() => void vi.unstubAllEnvs());

it('starts the source, and the built program only where it is said to be as new', () => {
  const cli = new URL('file:///a/apps/src/src/cli.ts');
  vi.stubEnv('XMOE_TEST_BUILT', '');
  const command = programCommand(cli);
  expect(command.slice(0, 2)).toEqual(['--conditions=@xmoe/source', '--import']);
  expect(command.at(-1)).toBe('/a/apps/src/src/cli.ts');
  vi.stubEnv('XMOE_TEST_BUILT', '1');
  expect(programCommand(cli)).toEqual(['/a/apps/src/dist/cli.js']);
});

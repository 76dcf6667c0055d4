import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: { conditions: ['@xmoe/source'] },
  ssr: { resolve: { conditions: ['@xmoe/source'] } },
  test: {
    // Sources are tested without a build, but the CPU engine has a part to compile.
    globalSetup: ['packages/backend-cpu/scripts/vitest-setup.mjs'],
    include: ['packages/*/test/**/*.test.ts', 'apps/*/test/**/*.test.ts', 'test/**/*.test.ts'],
    // Whatever a machine has installed, `cpu` is the compiled engine here. Tests of cpu:native look for a library themselves.
    env: { XMOE_BLAS: 'none', XMOE_TEST_BLAS: process.env.XMOE_BLAS ?? '' },
    // A software GPU compiles every kernel of a model first: seconds on a quiet machine, minutes on a busy one.
    testTimeout: 300_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
    pool: 'forks',
  },
});

import { fileURLToPath } from 'node:url';
import { configDefaults, defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { repositoryFiles } from './scripts/checks/files.mjs';

const root = fileURLToPath(new URL('.', import.meta.url));

/** Minutes each. At the end of a run such a file would keep one worker alone; in a fresh clone vitest knows no times. */
const LONGEST = [
  'test/faults.test.ts', 'test/two-hosts.test.ts', 'testing/test/webgpu-engine.test.ts', 'test/bench.test.ts', 'test/browser.test.ts', 'backend-webgpu/test/conformance-attention.test.ts',
  'testing/test/offsets.test.ts', 'testing/test/native-tensorflow.test.ts', 'test/ranks.test.ts', 'test/pages.test.ts',
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const at = LONGEST.findIndex((name) => moduleId.endsWith(`/${name}`));
      return at < 0 ? LONGEST.length : at;
    };
    return (await super.sort(files)).toSorted((a, b) => place(a) - place(b));
  }
}

/** Packages whose tests load no library of the machine, start no programs and leave nothing behind: their files share processes, each of which would else load the same modules again. */
const SHARING = 'core|routers|moe|nn|text|files|metrics|train|models|program|kernels-host';

/** Files of tests that replace modules. */
const REPLACING = repositoryFiles(root).filter(({ path, text }) => /^packages\/.*\.test\.ts$/.test(path) && text.includes('vi.mock(')).map(({ path }) => path);

export default defineConfig({
  resolve: { conditions: ['@xmoe/source'] },
  ssr: { resolve: { conditions: ['@xmoe/source'] } },
  test: {
    // Sources are tested without a build, but the CPU engine has a part to compile.
    globalSetup: ['packages/backend-cpu/scripts/vitest-setup.mjs'],
    projects: [
      { extends: true, test: { name: 'sharing', isolate: false, include: [`packages/@(${SHARING})/test/**/*.test.ts`], exclude: [...configDefaults.exclude, ...REPLACING] } },
      { extends: true, test: { name: 'alone', include: [`packages/!(${SHARING})/test/**/*.test.ts`, 'apps/*/test/**/*.test.ts', 'test/**/*.test.ts', ...REPLACING] } },
    ],
    // Whatever a machine has installed, `cpu` is the compiled engine here. Tests of cpu:native look for a library themselves.
    env: { XMOE_BLAS: 'none', XMOE_TEST_BLAS: process.env.XMOE_BLAS ?? '' },
    // A software GPU compiles every kernel of a model first: seconds on a quiet machine, minutes on a busy one.
    testTimeout: 300_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    pool: 'forks',
  },
});

// What `npm test` runs, as data: each stage's name, what it does and its command. Runs nothing.
import { join } from 'node:path';
import { root } from './repository.mjs';

const bin = (...path) => join(root, 'node_modules', ...path);
const node = (...args) => ({ command: process.execPath, args });

/**
 * The checks, each of which counts as one test. Those in one lane run one after the other; what reads what another wrote is in its lane.
 * The lanes run side by side, and take about as long. `lint` looks names of other packages up in what was built, which before `build` may be older
 * than the sources.
 */
export const LANES = [
  [
    { name: 'types', about: 'type-check', ...node(bin('typescript', 'bin', 'tsc'), '--noEmit', '-p', 'tsconfig.json') },
    { name: 'nodes', about: 're-vectorised kernels under Node 24 and 26', ...node(join(root, 'scripts', 'stages', 'other-nodes.mjs')) },
    { name: 'unused', about: 'unused exports and dependencies', ...node(bin('knip', 'bin', 'knip.js'), '--no-progress', '--no-config-hints') },
    { name: 'repository', about: 'repository checks', ...node(join(root, 'scripts', 'checks', 'main.mjs')) },
  ],
  [
    { name: 'build', about: 'build', ...node(bin('turbo', 'bin', 'turbo'), 'run', 'build', '--output-logs=errors-only') },
    { name: 'packages', about: 'package checks', ...node(join(root, 'scripts', 'stages', 'packages.mjs')) },
    { name: 'declarations', about: 'declarations', ...node(join(root, 'scripts', 'stages', 'declarations.mjs')) },
    { name: 'size', about: 'size budget', ...node(bin('size-limit', 'bin.js')) },
    { name: 'lint', about: 'lint', ...node(bin('oxlint', 'bin', 'oxlint'), '--deny-warnings', '--report-unused-disable-directives') },
  ],
];

/** The tests proper; they use every core themselves, so they run after the lanes. */
export const TESTS = { name: 'tests', about: 'tests' };

export const STAGE_NAMES = [...LANES.flat(), TESTS].map(({ name }) => name);

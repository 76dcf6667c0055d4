// Conformance, parity and bits of the re-vectorised kernels under the versions of Node that have them, whatever version runs this. A version
// that cannot be had is skipped with a line that says why.
import { join } from 'node:path';
import { capture } from '../lib/child.mjs';
import { nodeOf } from '../lib/other-nodes.mjs';
import { root } from '../lib/repository.mjs';
import { toolEnvironment } from '../lib/toolchain.mjs';

const VERSIONS = [24, 26];
const FILES = ['wasm-probe', 'wasm-threads', 'wasm-cut', 'wasm-conformance'].map((name) => `packages/backend-cpu/test/${name}.test.ts`);
const PARITY = 'packages/testing/test/wasm-engine.test.ts';
/** Of these files, what is about re-vectorised kernels. */
const TESTS = 're-?vectori|does not depend on the cut|probe';

const skip = (major, reason) => console.log(`skipped: the re-vectorised kernels under Node ${major}: ${reason}`);

async function testUnder(major) {
  const { path, reason } = await nodeOf(major);
  if (reason !== undefined) return skip(major, reason);
  const { code, output } = await capture(path, [join(root, 'node_modules', 'vitest', 'vitest.mjs'), 'run', ...FILES, PARITY, '-t', TESTS],
    { cwd: root, env: toolEnvironment({ XMOE_EXPECT_REVECTORIZED: '1', XMOE_WASM_VARIANT: '', NO_COLOR: '1' }) });
  if (code !== 0) {
    console.log(`Node ${major}:\n${output}`);
    process.exitCode = 1;
    return undefined;
  }
  const refused = /^the re-vectorised variant was not tested: (.*)$/m.exec(output);
  if (refused) skip(major, refused[1]);
  else console.log(`Node ${major}: ${/^ *Tests +(.*)$/m.exec(output)?.[1]}`);
  return undefined;
}

if (process.arch === 'x64') for (const major of VERSIONS) await testUnder(major);
else for (const major of VERSIONS) skip(major, `the processor is ${process.arch}, not x64`);

// Looks at the packages as a user gets them: packed, unpacked, resolved, loaded. Needs `build` to have run.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { capture } from '../lib/child.mjs';
import { publicPackages, root, workspacePackages } from '../lib/repository.mjs';
import { checkInstalledPrograms } from '../lib/installed-programs.mjs';
import { contents, pack, packedManifest } from '../lib/tarballs.mjs';
import { toolEnvironment } from '../lib/toolchain.mjs';

const attw = join(root, 'node_modules', '@arethetypeswrong', 'cli', 'dist', 'index.js');

async function checkManifest(tarball) {
  const manifest = await packedManifest(tarball);
  const files = await contents(tarball);
  const text = JSON.stringify(manifest);
  const problems = [];
  if (text.includes('workspace:')) problems.push('a workspace: version is left in the packed manifest');
  if (text.includes('@xmoe/source')) problems.push('the source condition is left in the packed manifest');
  if (!files.includes('LICENSE')) problems.push('no LICENSE in the tarball');
  const strange = files.filter((path) => !/^(package\.json|LICENSE|README\.md|CHANGELOG\.md|dist\/.*\.(js|d\.ts|js\.map)|wasm\/(\w+\.wasm|probe\.mjs)|python\/\w+\.py|page\/[\w-]+\.js)$/.test(path));
  if (strange.length > 0) problems.push(`unexpected files in the tarball: ${strange.join(', ')}`);
  return problems;
}

async function checkWithPublint(tarball) {
  const bytes = readFileSync(tarball);
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  const { messages, pkg } = await publint({ pack: { tarball: buffer }, strict: true });
  return messages.map((message) => `publint: ${formatMessage(message, pkg, { color: false })}`);
}

/** Entries that are files to be read, not modules. */
const isAsset = (path) => /\.\w+$/.test(path);
const assets = [...new Set(publicPackages().flatMap(({ manifest }) => Object.keys(manifest.exports ?? {}).filter(isAsset)))];

async function checkTypes(tarball, { exports }) {
  if (!exports) return [];
  const { code, output } = await capture(process.execPath,
    [attw, tarball, '--profile', 'esm-only', '--no-definitely-typed', '--no-emoji', '--no-color', '--exclude-entrypoints', ...assets],
    { env: toolEnvironment() });
  return code === 0 ? [] : [`are the types wrong:\n${output}`];
}

/** Every published entry loads in Node from its bundle, and every program has its shebang. */
async function checkBundles() {
  const entries = publicPackages().flatMap(({ manifest }) =>
    Object.keys(manifest.exports ?? {}).filter((path) => !isAsset(path)).map((path) => manifest.name + path.slice(1)));
  const { code, output } = await capture(process.execPath, [join(root, 'scripts', 'stages', 'load-entries.mjs'), ...entries]);
  const programs = workspacePackages().flatMap(({ directory, manifest }) =>
    Object.values(manifest.bin ?? {}).map((path) => join(root, directory, path)));
  const unmarked = programs
    .filter((path) => !existsSync(path) || !/^#!\/usr\/bin\/env node\n(?!#!)/.test(readFileSync(path, 'utf8')))
    .map((path) => `${path}: missing, or does not begin with exactly one shebang`);
  return [...(code === 0 ? [] : [output]), ...unmarked];
}

const folder = mkdtempSync(join(tmpdir(), 'xmoe-pack-'));
try {
  const tarballs = await pack(publicPackages().map(({ manifest }) => manifest.name), folder);
  const problems = (await checkBundles()).map((problem) => `bundles: ${problem}`);
  const waiting = Object.entries(tarballs);
  const worker = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [name, tarball] = next;
      const found = [...await checkManifest(tarball), ...await checkWithPublint(tarball), ...await checkTypes(tarball, await packedManifest(tarball))];
      problems.push(...found.map((problem) => `${name}: ${problem}`));
    }
  };
  await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, worker));
  problems.push(...(await checkInstalledPrograms(tarballs, join(folder, 'project'))).map((problem) => `installed programs: ${problem}`));
  for (const problem of problems) console.log(problem);
  console.log(`${Object.keys(tarballs).length} tarballs checked, ${problems.length} problems`);
  process.exitCode = problems.length === 0 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

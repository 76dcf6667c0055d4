// The programs as someone has them who installed the tarballs into an empty project, and what they do there. Asks no registry: other people's packages
// are those of this repository, linked where a package manager would put them, and only those that the packed manifests name.
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { capture } from './child.mjs';
import { publicPackages, root } from './repository.mjs';
import { packedManifest } from './tarballs.mjs';

const windows = process.platform === 'win32';
const directories = new Map(publicPackages().map(({ directory, manifest }) => [manifest.name, directory]));

/** Makes `project` from the tarballs by name: packages in node_modules, their programs in node_modules/.bin. */
async function install(tarballs, project) {
  const modules = join(project, 'node_modules');
  mkdirSync(join(modules, '.bin'), { recursive: true });
  writeFileSync(join(project, 'package.json'), '{"private": true, "type": "commonjs"}\n');
  for (const [name, tarball] of Object.entries(tarballs)) {
    const place = join(modules, name);
    mkdirSync(place, { recursive: true });
    const { code, output } = await capture('tar', ['-xzf', tarball, '-C', place, '--strip-components=1']);
    if (code !== 0) throw new Error(`tar could not unpack ${tarball}:\n${output}`);
    const { dependencies = {}, optionalDependencies = {}, bin = {} } = await packedManifest(tarball);
    for (const other of Object.keys({ ...dependencies, ...optionalDependencies })) linkOther(name, other, place);
    for (const [program, file] of Object.entries(bin)) symlinkSync(join(place, file), join(modules, '.bin', program));
  }
}

/** As a package manager would for a package with versions of its own. */
function linkOther(name, other, place) {
  const own = join(root, directories.get(name), 'node_modules', other);
  if (directories.has(other) || !existsSync(own)) return; // ours are beside it; an optional one may be missing
  const link = join(place, 'node_modules', other);
  mkdirSync(dirname(link), { recursive: true });
  symlinkSync(own, link, windows ? 'junction' : 'dir');
}

/** What is wrong with the programs of the tarballs by name, installed into the folder `project`: each tells its version, and the one for text trains and goes on with it. */
export async function checkInstalledPrograms(tarballs, project) {
  await install(tarballs, project);
  const problems = [];
  const env = { ...process.env, NODE_OPTIONS: '', XMOE_BACKEND: 'cpu:wasm', npm_config_offline: 'true' };
  const run = async (expected, ...line) => {
    const { code, output } = await capture('npx', ['--no-install', ...line], { cwd: project, env, shell: windows });
    if (code !== 0 || !expected.test(output)) problems.push(`npx ${line.join(' ')} ended with ${code}:\n${output}`);
  };
  for (const program of ['xmoe-lm', 'xmoe-nmt']) await run(/^\d+\.\d+\.\d+\nCPU engine: /, program, '--version');
  const text = join(project, 'text.txt');
  writeFileSync(text, Array.from({ length: 600 }, (_, index) => `The king of house ${index % 7} said to the queen of ${index % 11} that peace is good.\n\n`).join(''));
  const small = ['--context-length', '16', '--width', '16', '--heads', '2', '--hidden', '32', '--experts', '4', '--expert-hidden', '8', '--test-windows', '2', '--set', 'data.tokenizer.vocabularySize=270'];
  await run(/"completed":true,"step":5/, 'xmoe-lm', 'train', '--preset', 'tiny', '--max-steps', '5', '--warmup-steps', '1', ...small, '--data', text, '--out', 'run', '--json');
  await run(/^The/m, 'xmoe-lm', 'sample', 'run', '--prompt', 'The', '--max-tokens', '4');
  await run(/_xmoe_lm/, 'xmoe-lm', 'completion', 'bash');
  return problems;
}

// Other versions of Node, from the packages that npm's `node` consists of: an executable each, without an install script. Kept in .xmoe/nodes.
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { capture } from './child.mjs';
import { root } from './repository.mjs';
import { toolEnvironment } from './toolchain.mjs';

const windows = process.platform === 'win32';

/** The path of a Node of this major version, installed if need be, or why it cannot be had. Resolves to `{ path }` or `{ reason }`. */
export async function nodeOf(major) {
  if (process.versions.node.startsWith(`${major}.`)) return { path: process.execPath };
  const name = `node-${windows ? 'win' : process.platform}-${process.arch}`;
  const folder = join(root, '.xmoe', 'nodes', String(major));
  const path = join(folder, 'node_modules', name, 'bin', windows ? 'node.exe' : 'node');
  if (!existsSync(path)) {
    // A folder of packages of its own: npm would look for one further up.
    mkdirSync(join(folder, 'node_modules'), { recursive: true });
    const { code, output } = await capture('npm', ['install', '--prefix', folder, '--ignore-scripts', '--no-save', '--no-audit', '--no-fund', '--fetch-retries=1', '--loglevel=error', `${name}@${major}`],
      { env: toolEnvironment(), shell: windows });
    if (code !== 0 || !existsSync(path)) return { reason: output.split('\n').find((line) => line.startsWith('npm error'))?.slice('npm error '.length) ?? `npm leaves ${name} without bin/node` };
  }
  const { code, output } = await capture(path, ['--version']);
  return code === 0 ? { path } : { reason: `it does not start here: ${output.trim().split('\n')[0]}` };
}

// The text files of the repository that the checks look at: what git tracks or would track. Reads, judges nothing.
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, readFileSync, readdirSync } from 'node:fs';
import { extname, join } from 'node:path';

/** @typedef {{ path: string, text: string }} TextFile  path relative to the root, with forward slashes */

const SKIPPED_FOLDERS = new Set(['node_modules', 'dist', '.git', '.turbo', '.xmoe', 'runs', 'coverage', '.pnpm-store']);
const TEXT = new Set(['.ts', '.mts', '.js', '.mjs', '.json', '.jsonc', '.wgsl', '.md', '.yaml', '.yml', '.html', '.css',
  '.txt', '.toml', '.sh', '']);
// Written by a tool and read by a tool.
const GENERATED = new Set(['pnpm-lock.yaml']);

/** @returns {string[]} */
function listPaths(root) {
  try {
    const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'],
      { cwd: root, stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 1 << 28 });
    const paths = listed.toString().split('\0').filter(Boolean);
    if (paths.length > 0) return [...new Set(paths)];
  } catch {
    // Not a git checkout (a downloaded archive): walk the folders instead.
  }
  return walk(root, '');
}

function walk(root, folder) {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory()) return SKIPPED_FOLDERS.has(entry.name) ? [] : walk(root, path);
    return [path];
  });
}

/** @returns {TextFile[]} */
export function repositoryFiles(root) {
  return listPaths(root)
    .filter((path) => TEXT.has(extname(path)) && !GENERATED.has(path))
    // A file deleted but not yet committed is still listed; a link's target is checked where it lives.
    .filter((path) => existsSync(join(root, path)) && lstatSync(join(root, path)).isFile())
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));
}

export const isSource = (path) => /\.(ts|mts|mjs|js|wgsl)$/.test(path);
export const isToolConfig = (path) => /\.config\.(ts|mjs|js)$/.test(path);

/** One problem per matching line: `path:line: message`. */
export const problemsByLine = ({ path, text }, problemOf) =>
  text.split('\n').flatMap((line, index) => {
    const problem = problemOf(line);
    return problem ? [`${path}:${index + 1}: ${problem}`] : [];
  });

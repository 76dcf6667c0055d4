// Packs workspace packages exactly as they would be published. Does not build them.
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { capture } from './child.mjs';
import { pnpm } from './toolchain.mjs';

/**
 * Packs the named packages (built before) into a folder; `workspace:*` becomes a version and `publishConfig` is applied.
 * Resolves to the tarball of each name. Throws what pnpm said when it fails.
 */
export async function pack(names, folder) {
  mkdirSync(folder, { recursive: true });
  const filters = names.map((name) => `--filter=${name}`);
  const { code, output } = await pnpm(['--recursive', ...filters, 'pack', '--pack-destination', folder]);
  if (code !== 0) throw new Error(`pnpm pack failed:\n${output}`);
  const present = readdirSync(folder);
  return Object.fromEntries(names.map((name) => {
    const prefix = `${name.replace('@', '').replace('/', '-')}-`;
    const file = present.find((candidate) => candidate.startsWith(prefix) && /^\d.*\.tgz$/.test(candidate.slice(prefix.length)));
    if (!file) throw new Error(`pnpm pack wrote no tarball for ${name}: ${present.join(', ') || 'nothing'}`);
    return [name, join(folder, file)];
  }));
}

/** The paths inside a tarball, without the leading `package/`. */
export async function contents(tarball) {
  const { code, output } = await capture('tar', ['-tzf', tarball]);
  if (code !== 0) throw new Error(`tar could not read ${tarball}:\n${output}`);
  return output.split(/\r?\n/).filter(Boolean).map((path) => path.replace(/^package\//, ''));
}

/** The manifest inside a tarball. */
export async function packedManifest(tarball) {
  const { code, output } = await capture('tar', ['-xzOf', tarball, 'package/package.json']);
  if (code !== 0) throw new Error(`tar could not read ${tarball}:\n${output}`);
  return JSON.parse(output);
}

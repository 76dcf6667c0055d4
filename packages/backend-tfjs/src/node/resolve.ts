// Finds optional packages in Node: first from the user's project, then from this package. Loads nothing.
import { createRequire } from 'node:module';
import { join } from 'node:path';

export interface ResolvedPackage {
  /** The entry file. */
  readonly path: string;
  /** Requires the package and what it depends on, as the package itself would. */
  readonly require: NodeJS.Require;
}

/** The package `name` as seen from `roots` (directories), then from here; null when it is nowhere. */
export function resolvePackage(name: string, roots: readonly string[] = [process.cwd()]): ResolvedPackage | null {
  for (const from of [...roots.map((root) => join(root, 'package.json')), import.meta.url]) {
    try {
      const path = createRequire(from).resolve(name);
      return { path, require: createRequire(path) };
    } catch {
      // not visible from there
    }
  }
  return null;
}

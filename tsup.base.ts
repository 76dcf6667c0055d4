// The bundle settings every package shares. Not a place for package-specific options.
import { readFileSync } from 'node:fs';
import { defineConfig } from 'tsup';

interface BundleOptions {
  /** `neutral` for what must run in browsers too; `node` for what reads files or is a program. */
  platform?: 'neutral' | 'node';
  /** Whether type declarations are bundled. Programs and private packages need none. */
  types?: boolean;
  /** Private packages whose code becomes part of this one. */
  bundled?: string[];
}

const SHEBANG = '#!/usr/bin/env node';

/** Settings for a library: entry name → source file, relative to the package. */
export const bundle = (entry: Record<string, string>, { platform = 'neutral', types = true, bundled = [] }: BundleOptions = {}) =>
  defineConfig({
    entry,
    format: ['esm'],
    target: platform === 'node' ? 'node20' : 'es2022',
    platform,
    dts: types,
    sourcemap: true,
    // Declarations are replaced by a build that makes them; one without leaves those that are there.
    clean: ['!**/*.d.ts'],
    splitting: true,
    treeshake: true,
    // Every package stays a separate module for the user's bundler, whether or not the manifest names it.
    skipNodeModulesBundle: true,
    noExternal: bundled,
    external: [/^node:/],
    removeNodeProtocol: false,
  });

/** Settings for a program of an app: runs in Node, starts with a shebang, has no declarations. */
export const program = (entry: Record<string, string>) => {
  const marked = Object.values(entry).every((file) => readFileSync(file, 'utf8').startsWith('#!'));
  return defineConfig({
    ...bundle(entry, { platform: 'node', types: false }),
    // esbuild keeps a shebang that the source has; two of them would be a syntax error.
    ...(marked ? {} : { banner: { js: SHEBANG } }),
    // One file per entry: a banner would be repeated in every shared chunk.
    splitting: false,
    // The executable loads its program when it runs, so that it can tell what goes wrong there.
    external: [/^node:/, './program.js'],
  });
};

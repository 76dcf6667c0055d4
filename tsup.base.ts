// The bundle settings every package shares. Not a place for package-specific options.
import { defineConfig } from 'tsup';

export const bundle = (entry: Record<string, string>) =>
  defineConfig({
    entry,
    format: ['esm'],
    target: 'es2022',
    platform: 'neutral',
    dts: true,
    sourcemap: true,
    clean: false,
    splitting: true,
    treeshake: true,
  });

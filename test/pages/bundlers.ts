// A page by each of three bundlers, as a user would set them up: from a folder with index.html, modules and node_modules to a folder that a
// server takes as it is. No tests.
import { copyFileSync, cpSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { build as esbuild } from 'esbuild';
import { build as viteBuild } from 'vite';
import webpack from 'webpack';
import { root } from '../../scripts/lib/repository.mjs';
import { bundlePackages } from '../browser/site.js';

const PACKAGES = ['core', 'files', 'distributed', 'metrics', 'routers', 'moe', 'nn', 'text', 'train', 'models', 'backend-cpu', 'backend-webgpu'];
const ENTRY = 'test/pages/entries.mjs';
const HTML = '<!doctype html><meta charset="utf-8"><title>xmoe</title><link rel="icon" href="data:,"><body>…</body>';

/** The user's project in `folder`: page, modules, and the packages as npm would lay them out. */
export async function makeProject(folder: string): Promise<void> {
  const scope = join(folder, 'node_modules', '@xmoe');
  await bundlePackages(scope, PACKAGES);
  const others = new Set<string>();
  for (const name of PACKAGES) {
    const source = join(root, 'packages', name);
    const manifest = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8')) as { publishConfig: object; dependencies?: object; peerDependencies?: object };
    writeFileSync(join(scope, name, 'package.json'), JSON.stringify({ ...manifest, ...manifest.publishConfig }));
    if (name === 'backend-cpu') cpSync(join(source, 'wasm'), join(scope, name, 'wasm'), { recursive: true });
    for (const other of Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }).filter((dependency) => !dependency.startsWith('@xmoe/'))) {
      if (others.has(other)) continue;
      others.add(other);
      mkdirSync(dirname(join(folder, 'node_modules', other)), { recursive: true });
      symlinkSync(join(source, 'node_modules', other), join(folder, 'node_modules', other));
    }
  }
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'page', private: true, type: 'module' }));
  for (const path of [ENTRY, 'examples/in-a-page.mjs']) cpSync(join(root, path), join(folder, path));
  writeFileSync(join(folder, 'index.html'), `${HTML}<script type="module" src="./${ENTRY}"></script>`);
}

/** From the project to the folder that is served. */
export const BUNDLERS: Record<string, (project: string, out: string) => Promise<void>> = {
  async Vite(project, out) {
    await viteBuild({ root: project, configFile: false, logLevel: 'error', build: { outDir: out, target: 'es2022' } });
  },

  async webpack(project, out) {
    // The vocabulary of GPT-2 takes its minifier most of a minute; the others minify.
    const compiler = webpack({ mode: 'production', context: project, entry: `./${ENTRY}`, output: { path: out, filename: 'page.js' }, performance: false, optimization: { minimize: false } })!;
    const stats = await new Promise<webpack.Stats>((resolve, reject) => compiler.run((error, result) => (error ? reject(error) : resolve(result!))));
    if (stats.hasErrors()) throw new Error(stats.toString({ all: false, errors: true }));
    writeFileSync(join(out, 'index.html'), `${HTML}<script src="./page.js"></script>`);
  },

  async esbuild(project, out) {
    await esbuild({ absWorkingDir: project, entryPoints: [ENTRY], outfile: join(out, 'page.js'), bundle: true, minify: true, format: 'esm', target: 'es2022', logLevel: 'silent' });
    // It leaves `new URL(…, import.meta.url)` alone: the compiled kernels are copied beside.
    const wasm = join(project, 'node_modules', '@xmoe', 'backend-cpu', 'wasm');
    mkdirSync(join(out, 'wasm'), { recursive: true });
    for (const name of readdirSync(wasm).filter((file) => file.endsWith('.wasm'))) copyFileSync(join(wasm, name), join(out, 'wasm', name));
    writeFileSync(join(out, 'index.html'), `${HTML}<script type="module" src="./page.js"></script>`);
  },
};

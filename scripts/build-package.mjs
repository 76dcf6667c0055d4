// `build-package.mjs [--types] [--out FOLDER]`: builds the package in the current folder as its package.json says: each
// entry of `exports` that names a source, each file of `bin`. JavaScript alone, by esbuild, in a fraction of a second; `--types` makes
// the declarations of published packages as well. What lies in the folder from a build before and is not made now goes when all is made.
import { readdirSync, rmSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { readJson } from './lib/repository.mjs';
import { missingFiles } from './prepack.mjs';

const slashes = (path) => path.split(sep).join('/');

/** The name of an entry: its file without dist/ and ending. */
const named = (file) => file.replace('./dist/', '').replace(/\.js$/, '');

/** Name → source file of what is imported. */
const librariesOf = ({ exports = {} }) =>
  Object.fromEntries(Object.values(exports).filter((entry) => entry['@xmoe/source']).map((entry) => [named(entry.default), entry['@xmoe/source']]));

/** Name → source file of what is started: src/ lies as dist/ does. */
const programsOf = ({ bin = {} }) => Object.fromEntries(Object.values(bin).map((file) => [named(file), `./src/${named(file)}.ts`]));

/** Private packages whose code becomes part of this one. */
const takenIn = ({ devDependencies = {} }) => Object.keys(devDependencies).filter((name) => name.startsWith('@xmoe/'));

/** Packages of ours whose built declarations those of this one are derived from. */
const dependenciesOf = ({ dependencies = {}, peerDependencies = {}, devDependencies = {} }) =>
  Object.keys({ ...dependencies, ...peerDependencies, ...devDependencies }).filter((name) => name.startsWith('@xmoe/'));

/** Every other package stays a module of its own for the user's bundler, whether or not the manifest names it. */
function externalPackages(taken) {
  return {
    name: 'external-packages',
    setup({ onResolve }) {
      onResolve({ filter: /^[^./]/ }, ({ path, kind }) => (kind === 'entry-point' || taken.includes(path) ? undefined : { path, external: true }));
    },
  };
}

/** Returns the files made, relative to `folder`. */
async function buildJavaScript(manifest, folder) {
  const { metafile } = await build({
    entryPoints: { ...librariesOf(manifest), ...programsOf(manifest) }, outdir: folder, bundle: true, splitting: true, format: 'esm', platform: 'neutral', target: 'es2022',
    sourcemap: true, metafile: true, logLevel: 'warning', conditions: ['@xmoe/source'], plugins: [externalPackages(takenIn(manifest))],
    // Beside the entries: what is shared may look for files beside the package's folder of code.
    chunkNames: 'chunk-[hash]',
  });
  return Object.keys(metafile.outputs).map((file) => slashes(relative(folder, file)));
}

/** What declarations are derived from must be there, or they would be `any` without a word. */
function requireDeclarations(manifest) {
  for (const name of dependenciesOf(manifest)) {
    const missing = missingFiles(join('node_modules', name)).filter((file) => file.endsWith('.d.ts'));
    if (missing.length > 0) throw new Error(`${name} has no ${missing.join(', ')}: build it first (npm run build builds all)`);
  }
}

function removeOthers(folder, kept, belongs) {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath ?? entry.path, entry.name);
    const name = slashes(relative(folder, path));
    if (entry.isFile() && belongs(name) && !kept.includes(name)) rmSync(path);
  }
}

const { values: { out, types } } = parseArgs({ options: { out: { type: 'string', default: 'dist' }, types: { type: 'boolean', default: false } } });
const manifest = readJson('package.json');
const made = await buildJavaScript(manifest, out);
removeOthers(out, made, (name) => !name.endsWith('.d.ts'));
const declared = Object.keys(librariesOf(manifest)).map((name) => `${name}.d.ts`);
if (types && !manifest.private && declared.length > 0) {
  requireDeclarations(manifest);
  removeOthers(out, [], (name) => name.endsWith('.d.ts'));
  // Loaded late: it is most of what a build without declarations would wait for.
  const { bundleDeclarations } = await import('./lib/bundle-declarations.mjs');
  await bundleDeclarations(librariesOf(manifest), out, takenIn(manifest));
  for (const name of declared) if (!readdirSync(out).includes(name)) throw new Error(`${name} was not made`);
}

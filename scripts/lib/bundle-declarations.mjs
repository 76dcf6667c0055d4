// The declarations of a package, one file per entry: the compiler writes one per source, and they are put together. Other packages are read as they were
// built, not their sources again, and nothing is checked: that is the type-check's.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { rollup } from 'rollup';
import { dts } from 'rollup-plugin-dts';
import { capture } from './child.mjs';
import { readJson, root } from './repository.mjs';

const COMPILER = join(root, 'node_modules', 'typescript', 'bin', 'tsc');

/** The source of another package of ours. */
function sourceOf(name) {
  const directory = join(root, 'packages', name.replace('@xmoe/', ''));
  const { '.': entry } = readJson(join(directory, 'package.json')).exports;
  return join(directory, entry['@xmoe/source'] ?? entry);
}

/**
 * Writes a declaration for each source that `sources` reach in their packages and in those of `taken`, at its place in the repository below `folder`.
 * What is taken in is found by `paths`: the compiler writes nothing for what it finds in node_modules, and whether it then
 * forgets that for files that are sources too depends on the order in which its threads come to them.
 */
async function compile(sources, taken, folder) {
  // Here, so that types are found from the package.
  const settings = join(process.cwd(), 'node_modules', '.cache', `declarations-${process.pid}.json`);
  mkdirSync(dirname(settings), { recursive: true });
  writeFileSync(settings, JSON.stringify({
    extends: join(root, 'tsconfig.base.json'), files: sources,
    compilerOptions: {
      noEmit: false, emitDeclarationOnly: true, declaration: true, noCheck: true, customConditions: [], rootDir: root, outDir: folder,
      paths: Object.fromEntries(taken.map((name) => [name, [sourceOf(name)]])),
    },
  }));
  try {
    const { code, output } = await capture(process.execPath, [COMPILER, '-p', settings]);
    if (code !== 0) throw new Error(output);
  } finally {
    rmSync(settings);
  }
}

/** Where the declaration of a source of ours lies below `folder`. */
const declarationOf = (folder, source) => join(folder, relative(root, source)).replace(/\.ts$/, '.d.ts');

/** Packages of `taken` are sources like the package's own; every other stays an import. */
function otherPackages(folder, taken) {
  return {
    name: 'other-packages',
    resolveId(name) {
      if (name.startsWith('.') || isAbsolute(name)) return null;
      if (!taken.includes(name)) return { id: name, external: true };
      return declarationOf(folder, sourceOf(name));
    },
  };
}

/**
 * @param entries name → source file, relative to the current folder, which is the package's
 * @param taken names of packages of ours whose declarations become part of these
 */
export async function bundleDeclarations(entries, out, taken) {
  const folder = mkdtempSync(join(tmpdir(), 'xmoe-declarations-'));
  try {
    const sources = Object.entries(entries).map(([name, source]) => [name, resolve(source)]);
    await compile(sources.map(([, source]) => source), taken, folder);
    const input = Object.fromEntries(sources.map(([name, source]) => [name, declarationOf(folder, source)]));
    const bundle = await rollup({ input, plugins: [otherPackages(folder, taken), dts()] });
    await bundle.write({ dir: out, format: 'es', entryFileNames: '[name].d.ts', chunkFileNames: ({ name }) => `${name.replace(/\.d$/, '')}-[hash].d.ts` });
    await bundle.close();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

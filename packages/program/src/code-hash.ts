// A hash of the code that a program runs: its own and that of our packages that it needs, kernels included. Processes with the same hash compute the same.
import { createHash, type Hash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { packageRoot } from './package-root.js';

const OURS = '@xmoe/';
const CODE = /\.(js|mjs|ts|json|wasm)$/;
/** Of a user's script that lies beside them. */
const OTHERS = /(^|[\\/])node_modules[\\/]/;
const BUILT = 'dist';

interface Manifest {
  readonly name: string;
  /** Of which the first parts are folders. */
  readonly files?: readonly string[];
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

/** @param executable the file that the process was started with (`process.argv[1]`), if any: a program, or a script of a user, which may be in no package */
export function codeHash(executable: string | undefined): string {
  const hash = createHash('sha256');
  const done = new Set<string>();
  const add = (entry: string): void => {
    const root = packageRoot(pathToFileURL(entry).href);
    if (done.has(root)) return;
    done.add(root);
    const { name, files = [BUILT], dependencies, devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest;
    hash.update(`${name}\n`);
    // What is built, or its source: what this process loads.
    const folders = new Set(files.map((path) => (path === BUILT ? dirname(entry) : join(root, path.split('/')[0]!))));
    for (const folder of [...folders].sort()) if (existsSync(folder)) addFolder(hash, folder);
    const require = createRequire(join(root, 'package.json'));
    // In a clone packages have parts of others built in, which they need only then.
    for (const other of Object.keys({ ...dependencies, ...devDependencies }).filter((name) => name.startsWith(OURS)).sort()) {
      const found = resolved(require, other);
      if (found !== null) add(found);
    }
  };
  if (executable !== undefined) {
    if (isInPackage(executable)) add(realpathSync(executable));
    else hash.update(readFileSync(executable));
  }
  add(fileURLToPath(import.meta.url));
  return hash.digest('hex').slice(0, 16);
}

function isInPackage(file: string): boolean {
  try {
    return packageRoot(pathToFileURL(realpathSync(file)).href) !== '';
  } catch {
    return false;
  }
}

function resolved(require: NodeJS.Require, name: string): string | null {
  try {
    return realpathSync(require.resolve(name));
  } catch {
    return null; // needed by nobody who runs it
  }
}

function addFolder(hash: Hash, folder: string): void {
  for (const file of (readdirSync(folder, { recursive: true }) as string[]).filter((name) => CODE.test(name) && !OTHERS.test(name)).sort()) hash.update(`${file}\n`).update(readFileSync(join(folder, file)));
}

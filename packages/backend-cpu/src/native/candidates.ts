// Where libraries that multiply matrices lie, best first: of the system, of conda, inside installed Python packages. Only files with names that
// such libraries have. Nothing is loaded here, and no program is run.
import { readdirSync, realpathSync } from 'node:fs';
import { basename, delimiter, dirname, join } from 'node:path';

/** What of a machine decides where to look; tests make their own. */
export interface Place {
  readonly platform: string;
  readonly arch: string;
  /** Version of the system's kernel. */
  readonly release: string;
  readonly env: Record<string, string | undefined>;
  readonly home: string;
  /** What stands for the root of the file system. */
  readonly root: string;
}

/** Apple's is part of the system and lies in no file. */
export const ACCELERATE = '/System/Library/Frameworks/Accelerate.framework/Accelerate';

/** Names of files by kind, in the order in which kinds are tried: MKL, BLIS, OpenBLAS, OpenBLAS as wheels of numpy and scipy bring it. */
const NAMES: readonly RegExp[] = [
  /^(lib)?mkl_rt(\.\d+)?\.(so(\.\d+)*|dylib|dll)$/,
  /^(lib|AOCL-Lib)blis[\w.-]*\.(so(\.\d+)*|dylib|dll)$/i,
  /^(lib)?openblas[\w.-]*\.(so(\.\d+)*|dylib|dll)$/,
  /^(lib)?scipy_openblas[\w.-]*\.(so|dylib|dll)$/,
];

/** Whether a file's name is one of a library that xmoe knows. */
export const isKnownName = (name: string): boolean => NAMES.some((pattern) => pattern.test(name));

/** MKL ends the process where one of its many files is missing. */
export const mayEndProcess = (name: string): boolean => !isKnownName(name) || NAMES[0].test(name);

const TRIPLETS: Record<string, string> = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu', riscv64: 'riscv64-linux-gnu', ppc64: 'powerpc64le-linux-gnu' };

/** Files to try in turn. */
export function libraryCandidates(place: Place): string[] {
  const under = (path: string): string => join(place.root, path);
  const installed = [...named(systemFolders(place)), ...named(pythonFolders(place))];
  const order = NAMES.flatMap((pattern) => installed.filter((path) => pattern.test(basename(path))));
  return [...new Set(place.platform === 'darwin' ? [under(ACCELERATE), ...order] : order)];
}

function systemFolders({ platform, arch, env, home, root }: Place): string[] {
  const under = (path: string): string => join(root, path);
  const own = [env.MKLROOT && join(env.MKLROOT, 'lib'), env.MKLROOT && join(env.MKLROOT, 'lib', 'intel64'), ...prefixes(env).map((prefix) => libFolder(prefix, platform))];
  if (platform === 'win32') return existing(own);
  if (platform === 'darwin') return existing([...own, ...['openblas', 'blis'].flatMap((name) => ['/opt/homebrew/opt', '/usr/local/opt'].map((folder) => under(`${folder}/${name}/lib`)))]);
  const triplet = under(`/usr/lib/${TRIPLETS[arch] ?? arch}`);
  const debian = ['', 'blis-pthread', 'openblas-pthread', 'openblas-openmp', 'openblas-serial'].map((name) => join(triplet, name));
  const usual = ['/usr/lib64', '/usr/lib', '/usr/local/lib64', '/usr/local/lib', '/opt/OpenBLAS/lib', '/opt/intel/oneapi/mkl/latest/lib', '/opt/intel/oneapi/mkl/latest/lib/intel64'].map(under);
  const paths = (env.LD_LIBRARY_PATH ?? '').split(':');
  return existing([...own, ...paths, ...debian, ...usual, join(home, '.local', 'lib')]);
}

/** Environments of Python and conda that are switched on. */
const prefixes = (env: Place['env']): string[] => [env.VIRTUAL_ENV, env.CONDA_PREFIX].filter((prefix) => prefix !== undefined && prefix !== '') as string[];

const libFolder = (prefix: string, platform: string): string => (platform === 'win32' ? join(prefix, 'Library', 'bin') : join(prefix, 'lib'));

/** Where wheels keep the libraries that they bring, beside the packages. */
const WHEEL_FOLDERS = ['scipy_openblas32/lib', 'scipy_openblas64/lib', 'scipy.libs', 'numpy.libs', 'numpy/.dylibs', 'scipy/.dylibs', 'numpy/.libs'];

function pythonFolders({ platform, env, home, root }: Place): string[] {
  const under = (path: string): string => join(root, path);
  const bases = [...prefixes(env), ...pythonOnPath(env, platform), join(home, '.local'), under('/usr/local'), under('/usr')];
  const sites = platform === 'win32'
    ? bases.flatMap((base) => [join(base, 'Lib', 'site-packages')])
    : bases.flatMap((base) => children(join(base, 'lib')).filter((name) => name.startsWith('python3')).reverse().flatMap((name) => ['site-packages', 'dist-packages'].map((folder) => join(base, 'lib', name, folder))));
  return [...(env.PYTHONPATH ?? '').split(delimiter), ...sites].filter((site) => site !== '').flatMap((site) => WHEEL_FOLDERS.map((folder) => join(site, folder)));
}

/** The prefix of the python3 that a shell would start: …/bin/python3 without links. */
function pythonOnPath(env: Place['env'], platform: string): string[] {
  const name = platform === 'win32' ? 'python.exe' : 'python3';
  for (const folder of (env.PATH ?? '').split(delimiter)) {
    if (folder === '' || !children(folder).includes(name)) continue;
    const program = dirname(realpathSync(join(folder, name)));
    return [platform === 'win32' ? program : dirname(program)];
  }
  return [];
}

const existing = (folders: readonly (string | undefined)[]): string[] => folders.filter((folder): folder is string => folder !== undefined && folder !== '');

/** Files with known names in `folders`. */
const named = (folders: readonly string[]): string[] => folders.flatMap((folder) => children(folder).filter(isKnownName).map((name) => join(folder, name)));

function children(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

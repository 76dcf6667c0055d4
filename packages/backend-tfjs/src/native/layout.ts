// Where the native build lies and what it says of itself: one record per package, beside the folders that it names. Read by the loader,
// written by the command. Builds nothing.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

export type NativePackage = 'tfjs-node' | 'tfjs-node-gpu';

/** Version of the packages whose source is compiled. */
export const PACKAGE_VERSION = '4.22.0';
export const RECORD_FORMAT = 1;

/** What was built, against what. */
export interface NativeRecord {
  readonly format: typeof RECORD_FORMAT;
  readonly package: NativePackage;
  readonly packageVersion: string;
  /** Version that the library reported. */
  readonly tensorflow: string;
  /** The C library and the one beside it: absolute, or relative to the folder when it is inside. */
  readonly library: string;
  readonly framework: string;
  /** Bytes and time of the library: another one in its place is another build. */
  readonly libraryStamp: string;
  readonly platform: string;
  readonly arch: string;
  /** Version of Node-API that the addon was compiled for, which every later Node has. */
  readonly nodeApi: number;
}

export interface NativeBuild extends NativeRecord {
  /** The folder that holds all of it. */
  readonly folder: string;
}

/** The environment variable that names the folder, for a whole deployment. */
const FOLDER_VARIABLE = 'XMOE_TFJS_NATIVE';

/** Where the command puts a build that is made in `directory`. */
export const nativeFolder = (directory: string): string => resolve(directory, process.env[FOLDER_VARIABLE] || '.native');

export const packageName = (gpu: boolean): NativePackage => (gpu ? 'tfjs-node-gpu' : 'tfjs-node');

/** Holds the node_modules of one package. */
export const projectOf = (folder: string, name: NativePackage): string => join(folder, name);
export const packageOf = (folder: string, name: NativePackage): string => join(projectOf(folder, name), 'node_modules', '@tensorflow', name);
export const recordOf = (folder: string, name: NativePackage): string => join(folder, `${name}.json`);
export const addonOf = (folder: string, name: NativePackage, nodeApi: number): string => join(packageOf(folder, name), 'lib', `napi-v${nodeApi}`, 'tfjs_binding.node');
export const tensorflowOf = (folder: string, distribution: string, version: string): string => join(folder, `${distribution}-${version}`);

/** The record of a folder; null where there is none that this version reads. */
export function readRecord(folder: string, name: NativePackage): NativeBuild | null {
  try {
    const record = JSON.parse(readFileSync(recordOf(folder, name), 'utf8')) as Partial<NativeRecord> | null;
    if (record?.format !== RECORD_FORMAT || record.package !== name || typeof record.library !== 'string') return null;
    return { ...(record as NativeRecord), folder };
  } catch {
    return null;
  }
}

/** The nearest build of `name` from `roots` upwards, or where the environment says. */
export function findNativeBuild(name: NativePackage, roots: readonly string[]): NativeBuild | null {
  const named = process.env[FOLDER_VARIABLE];
  if (named) return readRecord(resolve(named), name);
  for (const root of roots) {
    for (let at = resolve(root); ; at = dirname(at)) {
      const folder = join(at, '.native');
      const build = existsSync(folder) ? readRecord(folder, name) : null;
      if (build) return build;
      if (dirname(at) === at) break;
    }
  }
  return null;
}

// TensorFlow's C library in a folder: which files, which version, which headers. Gets and compiles nothing.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { XMoEError } from '@xmoe/core';

export const DEFAULT_TENSORFLOW = { cpu: '2.18.1', gpu: '2.21.0' } as const;
/** The addon uses calls that came with it. */
export const OLDEST = '2.7';
/** What the suite has passed on. Later ones are built with a note. */
export const NEWEST_TRIED = '2.21';

export interface TensorflowLibrary {
  /** Absolute paths: the library with the C functions, and libtensorflow_framework. */
  readonly library: string;
  readonly framework: string;
  readonly include: string;
  /** As its headers say, e.g. `2.18.1`; null where they do not. */
  readonly version: string | null;
}

/** In wheels, in archives of libtensorflow, in a site-packages. */
const PLACES = ['', 'lib', 'tensorflow'];
const HEADER = join('tensorflow', 'c', 'eager', 'c_api.h');

/** @throws XMoEError `backend` naming what is missing in `directory` */
export function findTensorflow(directory: string, include?: string): TensorflowLibrary {
  const op = 'tfjs-native';
  if (!existsSync(directory)) throw new XMoEError('backend', `there is no folder ${directory}`, { op, hint: '--tensorflow takes a version or a folder' });
  if (!statSync(directory).isDirectory()) throw new XMoEError('backend', `${directory} is not a folder`, { op, hint: '--tensorflow takes the folder that holds the library' });
  const folders = PLACES.map((place) => join(directory, place)).filter((folder) => existsSync(folder) && statSync(folder).isDirectory());
  const pick = (pattern: RegExp): string | undefined => {
    for (const folder of folders) {
      const [name] = readdirSync(folder).filter((file) => pattern.test(file)).sort((a, b) => a.length - b.length);
      if (name) return join(folder, name);
    }
    return undefined;
  };
  const library = pick(/^libtensorflow\.so\.2/) ?? pick(/^libtensorflow_cc\.so\.2/);
  const framework = pick(/^libtensorflow_framework\.so\.2/);
  if (!library || !framework) {
    const old = pick(/^libtensorflow_framework\.so\.1/) ? ' (it holds TensorFlow 1)' : '';
    throw new XMoEError('backend', `${directory} holds no libtensorflow.so.2 or libtensorflow_cc.so.2 beside a libtensorflow_framework.so.2${old}`, {
      op, hint: 'wheels hold them from TensorFlow 2.12 on; older versions come as an unpacked libtensorflow archive',
    });
  }
  const candidates = [...(include ? [include] : []), ...folders.map((folder) => join(folder, 'include')), join(directory, 'include')];
  const headers = candidates.find((folder) => existsSync(join(folder, HEADER)));
  if (!headers) {
    throw new XMoEError('backend', `${HEADER} is in none of ${[...new Set(candidates)].join(', ')}`, { op, hint: 'name the folder of the headers with --include' });
  }
  return { library, framework, include: headers, version: versionOf(headers) };
}

/** From the header that defines TF_MAJOR_VERSION; it moved in 2.18. */
function versionOf(include: string): string | null {
  for (const name of ['release_version.h', 'version.h']) {
    const path = join(include, 'tensorflow', 'core', 'public', name);
    const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
    const parts = ['MAJOR', 'MINOR', 'PATCH'].map((part) => new RegExp(`#define\\s+TF_${part}_VERSION\\s+(\\d+)`).exec(text)?.[1]);
    if (parts.every((part) => part !== undefined)) return parts.join('.');
  }
  return null;
}

/** Refuses versions without the calls that the addon makes; says of newer ones that nobody has tried them. */
export function judgeVersion(version: string): { note?: string } {
  const number = (text: string): number => {
    const [major = 0, minor = 0] = text.split('.').map(Number);
    return major * 1000 + minor;
  };
  if (number(version) < number(OLDEST)) {
    throw new XMoEError('backend', `TensorFlow ${version} is too old: the addon needs ${OLDEST} or newer`, { op: 'tfjs-native', hint: `--tensorflow ${DEFAULT_TENSORFLOW.cpu}` });
  }
  return number(version) > number(NEWEST_TRIED) ? { note: `TensorFlow ${version} is newer than ${NEWEST_TRIED}, the newest that was tested` } : {};
}

/** Changes when another library is put in its place. */
export function libraryStamp(library: string): string {
  const { size, mtimeMs } = statSync(library);
  return `${size} ${Math.round(mtimeMs)}`;
}

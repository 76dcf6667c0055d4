// A build of xmoe-tfjs-native as the loader meets it: where it is, whether it can work here, and what is wrong when it does not load.
// Loads nothing.
import { existsSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { findNativeBuild, projectOf, type NativeBuild, type NativePackage } from '../native/layout.js';
import { libraryStamp } from '../native/tensorflow.js';

const op = 'loadTfjs';

/** What to type to have it built (again). */
export function buildCommand(name: NativePackage): string {
  const flag = (before: string): string => (name === 'tfjs-node-gpu' ? `${before}--gpu` : '');
  return `npx xmoe-tfjs-native${flag(' ')} (in the repository of xmoe: npm run tfjs:native${flag(' -- ')})`;
}

/**
 * The build from `roots` upwards, with a directory to resolve its packages from; null when there is none.
 * @throws XMoEError `backend` for one that cannot work: of another machine, of a library that is gone or was replaced
 */
export function usableNativeBuild(name: NativePackage, roots: readonly string[]): { build: NativeBuild; root: string } | null {
  const build = findNativeBuild(name, roots);
  if (!build) return null;
  const refuse = (what: string): never => {
    throw new XMoEError('backend', `the build of @tensorflow/${name} in ${build.folder} ${what}`, { op, hint: `to build it again: ${buildCommand(name)}` });
  };
  if (build.platform !== process.platform || build.arch !== process.arch) refuse(`is for ${build.platform} ${build.arch}, and this is ${process.platform} ${process.arch}`);
  if (build.nodeApi > Number(process.versions.napi)) refuse(`needs Node-API ${build.nodeApi}, and Node ${process.versions.node} has ${process.versions.napi}`);
  for (const path of [build.library, build.framework].map((file) => (isAbsolute(file) ? file : join(build.folder, file)))) {
    if (!existsSync(path)) refuse(`was made for TensorFlow ${build.tensorflow} at ${path}, which is not there any more`);
    if (path.endsWith(build.library) && libraryStamp(path) !== build.libraryStamp) refuse(`was made for TensorFlow ${build.tensorflow}, and ${path} is another file now`);
  }
  const root = projectOf(build.folder, name);
  if (!existsSync(root)) refuse(`has lost ${root}`);
  return { build, root };
}

/** What an error of the dynamic linker means, as far as it can be told. */
export function explainLinking(reason: string): string | undefined {
  const library = /(lib[\w.+-]+\.so[\w.]*): cannot open shared object file/.exec(reason)?.[1];
  if (library) return `${library} is not where the addon looks for it`;
  if (/undefined symbol/.test(reason)) return 'the addon was made for another version of TensorFlow';
  if (/NODE_MODULE_VERSION|did not self-register/.test(reason)) return `the addon was made for another Node than ${process.versions.node}`;
  if (/invalid ELF|wrong ELF class|not a mach-o|incompatible architecture|not a valid Win32/i.test(reason)) return `the addon was made for another machine than ${process.platform} ${process.arch}`;
  if (/GLIBC(XX)?_[\d.]+' not found|GLIBC(XX)?_[\d.]+/.test(reason)) return 'the library was made for a newer system than this one';
  return undefined;
}

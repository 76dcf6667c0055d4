// The library that this machine multiplies with: the one that XMOE_BLAS names, or the first of those that lie where libraries lie and pass
// every check. Never a download, never a program.
import { homedir, release } from 'node:os';
import { resolve } from 'node:path';
import { XMoEError } from '@xmoe/core';
import type { Products } from '../engine/products.js';
import { loadCaller, type NativeCaller } from './caller.js';
import { libraryCandidates, type Place } from './candidates.js';
import { openLibrary } from './open-library.js';

/** The environment variable that names a library, or `none`. */
const VARIABLE = 'XMOE_BLAS';
const NONE: readonly string[] = ['none', 'off'];

export const thisPlace = (): Place => ({ platform: process.platform, arch: process.arch, release: release(), env: process.env, home: homedir(), root: '/' });

/** Whether the environment says that no library is wanted. */
export const libraryUnwanted = (env: Place['env'] = process.env): boolean => NONE.includes((env[VARIABLE] ?? '').toLowerCase());

export interface FindOptions {
  /** How many threads will call it. */
  readonly threads: number;
  /** File of the library. Default: what the environment names, else what is found. */
  readonly library?: string;
  /** For tests: another machine, and what calls libraries. */
  readonly place?: Place;
  readonly caller?: () => NativeCaller;
}

/** Error `backend` where there is none, with what was tried and why it is not used. */
export function findLibrary({ threads, library, place = thisPlace(), caller = loadCaller }: FindOptions): Products {
  const named = library ?? (place.env[VARIABLE] || undefined);
  if (library === undefined && libraryUnwanted(place.env)) throw none(`${VARIABLE} is ${place.env[VARIABLE]}`, 'unset it to use a library of this machine');
  const candidates = named === undefined ? libraryCandidates(place) : [resolve(named)];
  if (candidates.length === 0) throw none('no library that multiplies matrices was found', howToInstall(place.platform));
  const options = { caller: caller(), place, threads };
  const refusals: string[] = [];
  for (const file of candidates) {
    const opened = openLibrary(file, options);
    if (!('refused' in opened)) return opened;
    refusals.push(`${file}: ${opened.refused}`);
  }
  const source = named !== undefined && library === undefined ? `${VARIABLE}: ` : '';
  throw none(`${source}${refusals.join('; ')}`, howToInstall(place.platform));
}

/** One line per system. */
function howToInstall(platform: string): string {
  if (platform === 'darwin') return 'macOS has Accelerate; --backend cpu:wasm needs no library';
  return `${platform === 'linux' ? 'apt install libopenblas0, or ' : ''}pip install scipy-openblas32, or name a library with ${VARIABLE}=FILE; --backend cpu:wasm needs none`;
}

const none = (message: string, hint: string): XMoEError => new XMoEError('backend', message, { op: 'cpu:native', hint });

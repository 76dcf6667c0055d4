// The MPI library that belongs to the launcher: the one that XMOE_MPI names, or the first of the system's that is of its kind.
import { XMoEError } from '@xmoe/core';
import { abiOf, type MpiAbi } from './abi.js';
import { loadMpiCaller, type MpiCaller } from './caller.js';
import type { MpiFamily } from './launcher.js';

/** The environment variable that names a library, or `none`: a launcher is then ignored. */
export const MPI_VARIABLE = 'XMOE_MPI';

/** Whether each process is to run by itself, whatever started it. */
export const ignoresLauncher = (env: Readonly<Record<string, string | undefined>>): boolean => ['none', 'off'].includes(env[MPI_VARIABLE] ?? '');

/** Names that the loader of the system finds, by kind. */
const NAMES: Readonly<Record<MpiFamily, readonly string[]>> = process.platform === 'darwin'
  ? { 'Open MPI': ['libmpi.40.dylib', '/opt/homebrew/lib/libmpi.40.dylib', '/usr/local/lib/libmpi.40.dylib'], MPICH: ['libmpi.12.dylib', '/opt/homebrew/lib/libmpi.12.dylib', '/usr/local/lib/libmpi.12.dylib'] }
  : { 'Open MPI': ['libmpi.so.40', 'libmpi.so'], MPICH: ['libmpich.so.12', 'libmpi.so.12', 'libmpi.so'] };

export interface FoundMpi {
  /** As it was loaded. */
  readonly library: string;
  readonly abi: MpiAbi;
  readonly caller: MpiCaller;
}

/** Loaded libraries stay: unloading an MPI takes the ground from under its threads. */
const loaded = new Map<string, FoundMpi['abi'] | { refused: string }>();

/**
 * Loads the library for a launcher of `family`, or whichever is there.
 * @throws XMoEError `backend` with all that was tried, where there is none or koffi does not load
 */
export function findMpi(family: MpiFamily | undefined, env: Readonly<Record<string, string | undefined>> = process.env): FoundMpi {
  // UCX, below MPICH and Open MPI, replaces functions for memory and breaks the heap of V8. Read when a library is loaded.
  process.env.UCX_MEM_EVENTS ??= 'no';
  const caller = loadMpiCaller();
  const named = env[MPI_VARIABLE];
  const families: readonly MpiFamily[] = family === undefined ? ['Open MPI', 'MPICH'] : [family];
  const tried: string[] = [];
  for (const wanted of families) {
    for (const library of named ? [named] : NAMES[wanted]) {
      const abi = open(caller, library);
      if ('refused' in abi) tried.push(`${library}: ${abi.refused}`);
      else if (abi.family === wanted) return { library, abi, caller };
      else tried.push(`${library}: it is ${abi.version}, the launcher is of ${wanted}`);
    }
  }
  throw new XMoEError('backend', `no MPI library was found${family === undefined ? '' : ` for a launcher of ${family}`}: ${tried.join('; ')}`, {
    op: 'mpi',
    hint: named ? `let ${MPI_VARIABLE} name the library that belongs to the launcher, or leave it out` : 'install it (apt install openmpi-bin, or mpich), or name its library in XMOE_MPI; XMOE_MPI=none runs each process by itself',
  });
}

function open(caller: MpiCaller, library: string): MpiAbi | { refused: string } {
  const known = loaded.get(library);
  if (known) return known;
  let abi: MpiAbi | { refused: string };
  try {
    abi = abiOf(caller.load(library));
  } catch (error) {
    abi = { refused: `it does not load: ${(error instanceof Error ? error.message : String(error)).split('\n')[0]!.trim()}` };
  }
  loaded.set(library, abi);
  return abi;
}

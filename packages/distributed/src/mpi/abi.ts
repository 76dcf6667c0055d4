// The functions and handles of an MPI library, of either kind: pointers to variables in Open MPI, numbers that never change in MPICH and its
// relatives (Intel MPI, MVAPICH, Cray). Numbers: mpi.h of MPICH 4.0, whose ABI is frozen. Nothing is called here but MPI_Get_library_version.
import type { ReduceOperation } from '../comm.js';
import type { MpiLibrary, NativeFunction } from './caller.js';
import type { MpiFamily } from './launcher.js';

export type Handle = bigint | number;
export type MpiKind = 'Float32Array' | 'Float64Array' | 'Int32Array' | 'Uint8Array';

export interface MpiAbi {
  readonly family: MpiFamily;
  /** First line of what the library says of itself. */
  readonly version: string;
  readonly world: Handle;
  readonly errorsReturn: Handle;
  readonly inPlace: Handle;
  readonly statusIgnore: bigint;
  readonly kinds: Readonly<Record<MpiKind, Handle>>;
  readonly operations: Readonly<Record<ReduceOperation, Handle>>;
  readonly call: Readonly<Record<MpiFunction, NativeFunction>>;
  /** Declaration of MPI_Abort, for another thread. */
  readonly abortDeclaration: string;
}

/** C is a communicator, T a type, O an operation, E a handler: all of them handles. > is where one is written. */
const DECLARATIONS = {
  Init_thread: 'void *, void *, int, _Out_ int *',
  Initialized: '_Out_ int *',
  Finalize: '',
  Comm_rank: 'H, _Out_ int *',
  Comm_size: 'H, _Out_ int *',
  Comm_split: 'H, int, int, >',
  Comm_set_errhandler: 'H, H',
  Bcast: 'void *, int, H, int, H',
  Allreduce: 'const void *, void *, int, H, H, H',
  Iallreduce: 'const void *, void *, int, H, H, H, >',
  Iallgather: 'const void *, int, H, void *, int, H, H, >',
  Ialltoallv: 'const void *, const int *, const int *, H, void *, const int *, const int *, H, H, >',
  Ibcast: 'void *, int, H, int, H, >',
  Ireduce_scatter_block: 'const void *, void *, int, H, H, H, >',
  Reduce_scatter_block: 'const void *, void *, int, H, H, H',
  Allgather: 'const void *, int, H, void *, int, H, H',
  Alltoall: 'const void *, int, H, void *, int, H, H',
  Alltoallv: 'const void *, const int *, const int *, H, void *, const int *, const int *, H, H',
  Isend: 'const void *, int, H, int, int, H, >',
  Irecv: 'void *, int, H, int, int, H, >',
  Test: '<, _Out_ int *, void *',
  Abort: 'H, int',
  Error_string: 'int, void *, _Out_ int *',
} as const;

export type MpiFunction = keyof typeof DECLARATIONS;
/** Those that there are as a call that waits and, with an I before the name, as one that does not. */
export type Transfer = 'Bcast' | 'Allreduce' | 'Reduce_scatter_block' | 'Allgather' | 'Alltoallv';

/** The ABI of a loaded library, or why it is none. */
export function abiOf(library: MpiLibrary): MpiAbi | { readonly refused: string } {
  let version: string;
  try {
    version = versionOf(library);
  } catch {
    return { refused: 'it has no MPI_Get_library_version' };
  }
  const symbol = (name: string): bigint => library.symbol(name);
  try {
    if (version.startsWith('Open MPI')) {
      return {
        ...common(library, 'Open MPI', version), world: symbol('ompi_mpi_comm_world'), errorsReturn: symbol('ompi_mpi_errors_return'), inPlace: 1n, statusIgnore: 0n,
        kinds: { Float32Array: symbol('ompi_mpi_float'), Float64Array: symbol('ompi_mpi_double'), Int32Array: symbol('ompi_mpi_int'), Uint8Array: symbol('ompi_mpi_byte') },
        operations: { sum: symbol('ompi_mpi_op_sum'), max: symbol('ompi_mpi_op_max'), min: symbol('ompi_mpi_op_min') },
      };
    }
    if (/MPICH|Intel|MVAPICH/i.test(version)) {
      return {
        ...common(library, 'MPICH', version), world: 0x44000000, errorsReturn: 0x54000001, inPlace: 0xffffffffffffffffn, statusIgnore: 1n,
        kinds: { Float32Array: 0x4c00040a, Float64Array: 0x4c00080b, Int32Array: 0x4c000405, Uint8Array: 0x4c00010d },
        operations: { sum: 0x58000003, max: 0x58000001, min: 0x58000002 },
      };
    }
  } catch (error) {
    return { refused: `${version} lacks what is needed: ${error instanceof Error ? error.message : String(error)}` };
  }
  return { refused: `it calls itself ${JSON.stringify(version.slice(0, 60))}, neither Open MPI nor of the kind of MPICH` };
}

function common(library: MpiLibrary, family: MpiFamily, version: string): Pick<MpiAbi, 'family' | 'version' | 'call' | 'abortDeclaration'> {
  const handle = family === 'Open MPI' ? 'void *' : 'int';
  const written = family === 'Open MPI' ? '_Out_ void **' : '_Out_ int *';
  const changed = family === 'Open MPI' ? '_Inout_ void **' : '_Inout_ int *';
  const declare = (name: string, parameters: string): string =>
    `int MPI_${name}(${parameters.replaceAll('H', handle).replace('>', written).replace('<', changed)})`;
  const entries = Object.entries(DECLARATIONS).map(([name, parameters]) => [name, library.func(declare(name, parameters))]);
  return { family, version, call: Object.fromEntries(entries) as MpiAbi['call'], abortDeclaration: declare('Abort', DECLARATIONS.Abort) };
}

const MOST_TEXT = 8192;

/** What a function writes that fills a buffer and says how much. */
export function textFrom(write: (buffer: Uint8Array, length: [number]) => number): string {
  const buffer = new Uint8Array(MOST_TEXT);
  const length: [number] = [0];
  write(buffer, length);
  return Buffer.from(buffer.buffer, 0, length[0]).toString('latin1').replace(/\0.*$/s, '');
}

/** `Open MPI v4.1.4, …`, `MPICH Version: 4.0.2`, … */
function versionOf(library: MpiLibrary): string {
  const ask = library.func('int MPI_Get_library_version(void *, _Out_ int *)');
  return textFrom((buffer, length) => ask(buffer, length)).split('\n')[0]!.replaceAll('\t', ' ').replace(/ Version: */, ' ').split(',')[0]!.trim();
}

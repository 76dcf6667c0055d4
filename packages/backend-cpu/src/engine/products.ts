// Where matrix products are computed: by the compiled kernels, or by a library of the machine that every thread calls on the engine's
// memory. The compiled kernels decide which products go there (assembly/library.ts); finding a library is not done here.

/** A function of the signature of `sgemm` in assembly/library.ts: addresses and sizes of row-major matrices. */
export type Multiply = (
  transposeA: number, transposeB: number, rows: number, columns: number, K: number, a: number, strideA: number, b: number, strideB: number,
  accumulate: number, out: number, strideOut: number,
) => void;

/** What a thread needs to call a library by itself; it can be sent to a worker. */
export interface ProductsLink {
  /** File of the module that calls native functions. */
  readonly caller: string;
  /** File of the library. */
  readonly library: string;
  /** C declaration of its cblas_sgemm with addresses as numbers. */
  readonly multiply: string;
  /** C declaration of a function of one int and that int: what makes the library use one thread, where each thread must say so. */
  readonly perThread: readonly [declaration: string, value: number] | null;
}

/** A library that has been found right. */
export interface Products {
  /** For people: name, version, kernels. */
  readonly name: string;
  /** Asks it whether an element gets the same bits in whatever block it lies, so that blocks may follow the threads. */
  cutsFreely(): boolean;
  readonly link: ProductsLink;
  /** The address of a memory's first byte in this process. */
  addressOf(memory: SharedArrayBuffer): number;
  /** This thread's function, for addresses from `base` on. */
  open(base: number): Multiply;
}

/** Where there is no library the compiled kernels never call this. */
export const noProducts: Multiply = () => {
  throw new Error('there is no library');
};

/**
 * Text of `(require, link, base) → Multiply`: as text, because workers are made of text (worker-source.ts), and once for all threads. The
 * constants are cblas.h's: row-major 101, as it is 111, transposed 112.
 */
export const OPEN_PRODUCTS = `(require, { caller, library, multiply, perThread }, base) => {
  const loaded = require(caller).load(library);
  if (perThread !== null) loaded.func(perThread[0])(perThread[1]);
  const sgemm = loaded.func(multiply);
  return (transposeA, transposeB, rows, columns, K, a, strideA, b, strideB, accumulate, out, strideOut) => {
    sgemm(
      101, 111 + transposeA, 111 + transposeB, rows, columns, K, 1, base + (a >>> 0), strideA, base + (b >>> 0), strideB,
      accumulate, base + (out >>> 0), strideOut,
    );
  };
}`;

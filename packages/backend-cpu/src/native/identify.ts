// Which library a loaded one is, by functions that only it has: kind, version, kernels, the width of its integers, and how it is kept to one
// thread. What has none of them is refused before its multiplication is ever called.
import type { NativeLibrary } from './caller.js';

export interface Identity {
  /** For people: name, version, kernels. */
  readonly name: string;
  /** Of its cblas_sgemm, with addresses as numbers. */
  readonly multiply: string;
  /** As ProductsLink has it. */
  readonly perThread: readonly [declaration: string, value: number] | null;
  /** Whether several threads may call it at the same time. */
  readonly manyCallers: boolean;
  /** Whether its kernels are known to sum every element in one order, if cuts.ts finds so: some of them do. */
  readonly mayCutFreely: boolean;
}

/** A reason why a library is not used. */
export interface Refusal {
  readonly refused: string;
}

/** The oldest OpenBLAS: those before have races between callers on several threads, and wrong kernels for AVX-512. */
const OLDEST_OPENBLAS = [0, 3, 10] as const;

export function identify(library: NativeLibrary): Identity | Refusal {
  for (const family of [identifyMkl, identifyBlis, identifyOpenBlas]) {
    const found = family(library);
    if (found !== undefined) return found;
  }
  return { refused: 'it is none of MKL, BLIS and OpenBLAS' };
}

/** Apple's has no version of its own: it is that of the system. */
export function identifyAccelerate(library: NativeLibrary, system: string): Identity | Refusal {
  // BLASSetThreading: macOS 15 and newer.
  return sgemmOf(library, 'cblas_sgemm', 32, { name: `Accelerate (Darwin ${system})`, perThread: oneThread(library, 'int BLASSetThreading(int)'), manyCallers: true, mayCutFreely: false });
}

function identifyOpenBlas(library: NativeLibrary): Identity | Refusal | undefined {
  for (const [prefix, suffix] of [['', ''], ['scipy_', ''], ['scipy_', '64_'], ['', '64_']]) {
    const named = (name: string): string => `${prefix}${name}${suffix}`;
    const config = ask<string>(library, `const char *${named('openblas_get_config')}()`);
    if (config === undefined) continue;
    const version = /^OpenBLAS (\d+)\.(\d+)\.(\d+)[\w.]*/.exec(config);
    if (version === null) return { refused: `it calls itself ${JSON.stringify(config.slice(0, 60))}` };
    if (isOlder(version.slice(1).map(Number), OLDEST_OPENBLAS)) return { refused: `${version[0]} is older than ${OLDEST_OPENBLAS.join('.')}` };
    ask(library, `void ${named('openblas_set_num_threads')}(int)`, 1);
    const kernels = ask<string>(library, `const char *${named('openblas_get_corename')}()`) ?? 'unknown';
    return sgemmOf(library, named('cblas_sgemm'), suffix === '64_' || config.includes('USE64BITINT') ? 64 : 32, {
      name: `${version[0]} (${kernels} kernels)`,
      perThread: null,
      // A build without threads locks only if it was told to, and does not say so.
      manyCallers: ask<number>(library, `int ${named('openblas_get_parallel')}()`) !== 0,
      mayCutFreely: true,
    });
  }
  return undefined;
}

function identifyMkl(library: NativeLibrary): Identity | Refusal | undefined {
  const version = 'void MKL_Get_Version_String(void *, int)';
  if (!has(library, version)) return undefined;
  // Before any other call, which would choose for itself.
  ask(library, 'int MKL_Set_Threading_Layer(int)', 1); // without threads
  const layer = ask<number>(library, 'int MKL_Set_Interface_Layer(int)', 0); // integers of 32 bits, if nothing chose others
  const about = Buffer.alloc(200);
  ask(library, version, about, about.length);
  const number = /Version ([\d.]+\d)/.exec(about.toString('latin1'))?.[1] ?? 'of unknown version';
  const branch = ask<number>(library, 'int MKL_CBWR_Get_Auto_Branch()');
  return sgemmOf(library, 'cblas_sgemm', layer !== undefined && (layer & 1) === 1 ? 64 : 32, {
    name: `MKL ${number}${branch === undefined ? '' : ` (${MKL_BRANCHES[branch] ?? `branch ${branch}`} kernels)`}`,
    perThread: oneThread(library, 'int MKL_Set_Num_Threads_Local(int)'), manyCallers: true, mayCutFreely: false,
  });
}

/** Of mkl_types.h. */
const MKL_BRANCHES: Record<number, string> = { 3: 'compatible', 9: 'AVX', 10: 'AVX2', 12: 'AVX-512', 14: 'AVX-512 E1' };

function identifyBlis(library: NativeLibrary): Identity | Refusal | undefined {
  const version = ask<string>(library, 'const char *bli_info_get_version_str()');
  if (version === undefined) return undefined;
  const architecture = ask<number>(library, 'int bli_arch_query_id()');
  const kernels = architecture === undefined ? undefined : ask<string>(library, 'const char *bli_arch_string(int)', architecture);
  const width = Number(ask(library, 'int64_t bli_info_get_blas_int_type_size()') ?? 32);
  return sgemmOf(library, 'cblas_sgemm', width === 64 ? 64 : 32, {
    name: `BLIS ${version}${kernels === undefined ? '' : ` (${kernels} kernels)`}`, perThread: oneThread(library, 'void bli_thread_set_num_threads(int64_t)'),
    manyCallers: true, mayCutFreely: false,
  });
}

function sgemmOf(library: NativeLibrary, symbol: string, bits: 32 | 64, rest: Omit<Identity, 'multiply'>): Identity | Refusal {
  const size = bits === 64 ? 'int64_t' : 'int';
  const multiply = `void ${symbol}(int, int, int, ${size}, ${size}, ${size}, float, uintptr_t, ${size}, uintptr_t, ${size}, float, uintptr_t, ${size})`;
  return has(library, multiply) ? { ...rest, multiply } : { refused: `it has no ${symbol}` };
}

const oneThread = (library: NativeLibrary, declaration: string): Identity['perThread'] => (has(library, declaration) ? [declaration, 1] : null);

function has(library: NativeLibrary, declaration: string): boolean {
  try {
    library.func(declaration);
    return true;
  } catch {
    return false;
  }
}

/** What a function answers; undefined where there is no such function. */
function ask<Answer>(library: NativeLibrary, declaration: string, ...values: readonly unknown[]): Answer | undefined {
  return has(library, declaration) ? (library.func(declaration)(...values) as Answer) : undefined;
}

function isOlder(version: readonly number[], oldest: readonly number[]): boolean {
  const differing = oldest.findIndex((part, index) => version[index] !== part);
  return differing !== -1 && version[differing] < oldest[differing];
}

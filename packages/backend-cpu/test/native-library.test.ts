// Finding the library of a machine and refusing what is none: fake machines in a folder, files of wrong kinds, libraries that say or compute
// something wrong, and the package that calls libraries being absent. No real library is needed but for the last part.
import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { createNativeBackend } from '@xmoe/backend-cpu/node';
import { temporaryFolder } from '@xmoe/testing/programs';
import type { NativeCaller, NativeLibrary } from '../src/native/caller.js';
import { isKnownName, libraryCandidates, type Place } from '../src/native/candidates.js';
import { findLibrary, thisPlace } from '../src/native/find-library.js';
import { whyNotLoadable } from '../src/native/library-file.js';
import { testLibrary } from './native-support.js';

const inFolder = temporaryFolder(afterAll);
afterEach(() => void vi.unstubAllEnvs());

/** The first bytes of a shared library for Linux on x64, with changes. */
function elf(change: (header: Buffer) => void = () => undefined): Buffer {
  const header = Buffer.alloc(128);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  header.writeUInt16LE(3, 16);
  header.writeUInt16LE(62, 18);
  change(header);
  return header;
}

function write(path: string, contents: string | Buffer): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, contents);
  return path;
}

const place = (root: string, more: Partial<Place> = {}): Place => ({ platform: 'linux', arch: 'x64', release: '6.1', env: {}, home: join(root, 'home/me'), root, ...more });

describe('where libraries are looked for', () => {
  it('MKL, BLIS, OpenBLAS of the system, then those of wheels; each once', () => {
    const root = inFolder('machine');
    const files = [
      'usr/lib/python3/dist-packages/scipy.libs/libscipy_openblas-68440149.so', 'usr/lib/x86_64-linux-gnu/openblas-serial/libopenblas.so.0',
      'usr/lib/x86_64-linux-gnu/libopenblas.so.0', 'usr/lib/x86_64-linux-gnu/blis-pthread/libblis.so.4', 'opt/intel/oneapi/mkl/latest/lib/libmkl_rt.so.2',
    ];
    for (const file of [...files, 'usr/lib/x86_64-linux-gnu/libblas.so.3', 'usr/lib/x86_64-linux-gnu/libopenblas.a', 'usr/lib/libmkl_core.so.2']) write(join(root, file), elf());
    const order = [4, 3, 2, 1, 0].map((index) => join(root, files[index]));
    expect(libraryCandidates(place(root))).toEqual(order);
    expect(libraryCandidates(place(root, { platform: 'darwin' }))[0]).toBe(join(root, '/System/Library/Frameworks/Accelerate.framework/Accelerate'));
  });

  it('environments of Python and conda, PYTHONPATH, LD_LIBRARY_PATH, and the python3 of the path without its links', () => {
    const root = inFolder('environments');
    const [wheel, conda, user, linked, loader] = [
      'venv/lib/python3.12/site-packages/numpy.libs/libscipy_openblas64_-99b71e71.so', 'conda/lib/libmkl_rt.so.2', 'packages/scipy_openblas32/lib/libscipy_openblas.so',
      'python/lib/python3.11/site-packages/numpy.libs/libopenblas64_p-r0-15028c96.3.21.so', 'own/libopenblas.so',
    ].map((file) => write(join(root, file), elf()));
    write(join(root, 'python/bin/python3.11'), '');
    mkdirSync(join(root, 'bin'));
    symlinkSync(join(root, 'python/bin/python3.11'), join(root, 'bin/python3'));
    const env = { VIRTUAL_ENV: join(root, 'venv'), CONDA_PREFIX: join(root, 'conda'), PYTHONPATH: join(root, 'packages'), PATH: `/nowhere:${join(root, 'bin')}`, LD_LIBRARY_PATH: join(root, 'own') };
    expect(libraryCandidates(place(root, { env }))).toEqual([conda, loader, linked, user, wheel]);
    expect(libraryCandidates(place(root, { env: { PATH: '' } }))).toEqual([]);
  });

  it('only names that such libraries have are loaded unasked', () => {
    for (const name of ['libopenblas.so.0', 'libopenblasp-r0.3.21.so', 'libmkl_rt.so.2', 'mkl_rt.2.dll', 'libblis-mt.so.4', 'libscipy_openblas64_-6bb31eeb.so', 'libopenblas.dylib']) expect(isKnownName(name), name).toBe(true);
    for (const name of ['libblas.so.3', 'libcblas.so', 'evil.so', 'libopenblas.so.0.bak', 'notlibopenblas.so', 'libopenblas.a', 'libmkl_core.so.2']) expect(isKnownName(name), name).toBe(false);
  });
});

describe('what a file is', () => {
  const refusal = (contents: string | Buffer, platform = 'linux', arch = 'x64'): string | undefined => whyNotLoadable(write(inFolder('one-file'), contents), platform, arch);

  it('a shared library for this system passes', () => {
    expect(refusal(elf())).toBeUndefined();
    expect(refusal(elf((header) => header.writeUInt16LE(183, 18)), 'linux', 'arm64')).toBeUndefined();
  });

  it('anything else is refused before it is loaded', () => {
    expect(refusal('')).toBe('it is too short for a library');
    expect(refusal('INPUT(-lopenblas)\n'.repeat(20))).toBe('it is not a shared library');
    expect(refusal(elf((header) => header.writeUInt16LE(2, 16)))).toBe('it is not a shared library'); // a program
    expect(refusal(elf((header) => header.writeUInt16LE(183, 18)))).toBe('it is for another processor than x64');
    expect(refusal(elf((header) => header.set([1], 4)))).toBe('it is for another processor than x64'); // 32 bits
    expect(refusal(elf(), 'darwin')).toBe('it is not a shared library');
    expect(refusal(elf(), 'win32')).toBe('it is not a shared library');
    expect(whyNotLoadable(inFolder('nothing-here'), 'linux', 'x64')).toBe('there is no such file');
    expect(whyNotLoadable(inFolder('one-file/below'), 'linux', 'x64')).toBe('there is no such file');
    mkdirSync(inFolder('folder'));
    expect(whyNotLoadable(inFolder('folder'), 'linux', 'x64')).toBe('it is not a file');
  });

  it('of macOS and Windows', () => {
    const mach = Buffer.alloc(64);
    for (const [index, word] of [0xfeedfacf, 0x0100000c, 0, 6].entries()) mach.writeUInt32LE(word, 4 * index);
    expect(refusal(mach, 'darwin', 'arm64')).toBeUndefined();
    expect(refusal(mach, 'darwin', 'x64')).toMatch(/another processor/);
    const fat = Buffer.alloc(64);
    for (const [index, word] of [0xcafebabe, 2, 0x01000007, 0, 0, 0, 0, 0x0100000c].entries()) fat.writeUInt32BE(word, 4 * index);
    expect(refusal(fat, 'darwin', 'arm64')).toBeUndefined();
    const pe = Buffer.alloc(256);
    pe.write('MZ');
    pe.writeUInt32LE(128, 0x3c);
    pe.write('PE', 128);
    pe.writeUInt16LE(0x8664, 132);
    expect(refusal(pe, 'win32', 'x64')).toBeUndefined();
    expect(refusal(pe, 'win32', 'arm64')).toMatch(/another processor/);
    pe.writeUInt32LE(4000, 0x3c);
    expect(refusal(pe, 'win32', 'x64')).toBe('it is not a shared library');
  });
});

/** The memory whose address was asked for last; addresses in it begin at 0. */
let current: ArrayBufferLike = new ArrayBuffer(0);

/** A caller whose libraries have these functions, by name. */
function callerOf(functions: Record<string, (...values: never[]) => unknown>): () => NativeCaller {
  const library: NativeLibrary = {
    func(declaration) {
      const name = /(\w+)\(/.exec(declaration)![1];
      if (!(name in functions)) throw new Error(`Cannot find function '${name}' in shared library`);
      return functions[name] as (...values: readonly unknown[]) => unknown;
    },
    unload: () => undefined,
  };
  return () => ({
    file: 'koffi', load: () => library,
    address(view) {
      current = view.buffer;
      return 0n;
    },
  });
}

/** cblas_sgemm of row-major matrices, whose sums `spoil` may change. */
function sgemm(spoil: (sum: number, beta: number) => number = (sum) => sum) {
  return (_order: number, formA: number, formB: number, M: number, N: number, K: number, _alpha: number, a: number, lda: number, b: number, ldb: number, beta: number, c: number, ldc: number): void => {
    const floats = new Float32Array(current);
    for (let row = 0; row < M; row++) {
      for (let column = 0; column < N; column++) {
        let sum = 0;
        for (let k = 0; k < K; k++) sum += floats[a / 4 + (formA === 112 ? k * lda + row : row * lda + k)] * floats[b / 4 + (formB === 112 ? column * ldb + k : k * ldb + column)];
        const at = c / 4 + row * ldc + column;
        floats[at] = spoil(sum, beta) + (beta === 0 ? 0 : floats[at]);
      }
    }
  };
}

const openBlas = (more: Record<string, (...values: never[]) => unknown> = {}) => ({
  openblas_get_config: () => 'OpenBLAS 0.3.30 DYNAMIC_ARCH', openblas_get_corename: () => 'Haswell', openblas_set_num_threads: () => undefined, openblas_get_parallel: () => 1,
  cblas_sgemm: sgemm(), ...more,
});

describe('which library it is, and whether it multiplies', () => {
  const file = (): string => write(inFolder('libopenblas.so'), elf());
  const find = (functions: Parameters<typeof callerOf>[0], threads = 2) => findLibrary({ threads, library: file(), place: place('/'), caller: callerOf(functions) });
  const refused = (functions: Parameters<typeof callerOf>[0], threads = 2): string => {
    try {
      return `used: ${find(functions, threads).name}`;
    } catch (error) {
      return (error as Error).message.replace(/^.*libopenblas\.so: /, '');
    }
  };

  it('names version and kernels', () => {
    expect(find(openBlas())).toMatchObject({ name: 'OpenBLAS 0.3.30 (Haswell kernels)', link: { library: file(), perThread: null } });
    expect(find({ bli_info_get_version_str: () => '1.0', bli_arch_query_id: () => 3, bli_arch_string: () => 'zen3', cblas_sgemm: sgemm() }).name).toBe('BLIS 1.0 (zen3 kernels)');
    const version = (text: Buffer): void => void text.write('Intel(R) oneAPI Math Kernel Library Version 2025.0-Product Build 20241009 for Intel(R) 64 architecture applications');
    expect(find({ MKL_Get_Version_String: version, MKL_Set_Interface_Layer: () => 0, MKL_CBWR_Get_Auto_Branch: () => 12, cblas_sgemm: sgemm() }).name).toBe('MKL 2025.0 (AVX-512 kernels)');
  });

  it('takes prefixes of wheels, and integers of 64 bits where its name or it says so', () => {
    const renamed = (prefix: string, suffix: string) => Object.fromEntries(Object.entries(openBlas()).map(([name, run]) => [prefix + name + suffix, run]));
    expect(find(renamed('scipy_', '')).link.multiply).toMatch(/^void scipy_cblas_sgemm\(int, int, int, int,/);
    for (const prefix of ['', 'scipy_']) expect(find(renamed(prefix, '64_')).link.multiply).toMatch(new RegExp(`^void ${prefix}cblas_sgemm64_\\(int, int, int, int64_t,`));
    expect(find(openBlas({ openblas_get_config: () => 'OpenBLAS 0.3.26 USE64BITINT Zen' })).link.multiply).toContain('int64_t');
    expect(find({ MKL_Get_Version_String: () => undefined, MKL_Set_Interface_Layer: () => 1, cblas_sgemm: sgemm() }).link.multiply).toContain('int64_t');
  });

  it('refuses what it does not know, what is too old, and what several threads may not call', () => {
    expect(refused({ cblas_sgemm: sgemm() })).toBe('it is none of MKL, BLIS and OpenBLAS');
    expect(refused(Object.fromEntries(Object.entries(openBlas()).filter(([name]) => name !== 'cblas_sgemm')))).toBe('it has no cblas_sgemm');
    expect(refused(openBlas({ openblas_get_config: () => 'OpenBLAS 0.3.8 Haswell' }))).toBe('OpenBLAS 0.3.8 is older than 0.3.10');
    expect(refused(openBlas({ openblas_get_config: () => 'something else' }))).toBe('it calls itself "something else"');
    expect(refused(openBlas({ openblas_get_parallel: () => 0 }))).toMatch(/built without threads and may not be called by several/);
    expect(refused(openBlas({ openblas_get_parallel: () => 0 }), 1)).toMatch(/^used/);
  });

  it('refuses wrong numbers, hidden NaN, and a result that shows what was there', () => {
    expect(refused(openBlas({ cblas_sgemm: sgemm((sum) => sum + (sum === 12 ? 1 : 0)) }))).toMatch(/it computes wrong numbers: \[\d+, \d+\]/);
    expect(refused(openBlas({ cblas_sgemm: sgemm((sum, beta) => (beta === 1 ? sum * 2 : sum)) }))).toMatch(/wrong numbers: .*, added$/);
    expect(refused(openBlas({ cblas_sgemm: sgemm((sum) => (Number.isNaN(sum) ? 0 : sum)) }))).toMatch(/hides NaN or infinity/);
    const adding = sgemm();
    expect(refused(openBlas({ cblas_sgemm: (...values: never[]) => adding(...(values.map((value, index) => (index === 11 ? 1 : value)) as Parameters<typeof adding>)) }))).toMatch(/wrong numbers/);
    expect(refused(openBlas({ cblas_sgemm: () => { throw new Error('illegal'); } }))).toMatch(/^it does not load: illegal/);
  });
});

describe('XMOE_BLAS', () => {
  const find = (env: Place['env'], caller = callerOf(openBlas())) => findLibrary({ threads: 2, place: place(inFolder('empty'), { env }), caller });

  it('none and off use no library, and nothing found says how to get one', () => {
    for (const value of ['none', 'off', 'NONE']) expect(() => find({ XMOE_BLAS: value })).toThrow(`XMOE_BLAS is ${value}`);
    expect(() => find({})).toThrow(expect.objectContaining({ code: 'backend', message: expect.stringContaining('no library that multiplies'), hint: expect.stringContaining('apt install libopenblas0, or pip install scipy-openblas32') }));
  });

  it('names the one library; why it is not used is the error', () => {
    const text = write(inFolder('libopenblas.so.0'), 'a linker script '.repeat(10));
    expect(() => find({ XMOE_BLAS: text })).toThrow(`XMOE_BLAS: ${text}: it is not a shared library`);
    expect(() => find({ XMOE_BLAS: inFolder('gone.so') })).toThrow(/XMOE_BLAS: .*gone\.so: there is no such file/);
    expect(find({ XMOE_BLAS: write(inFolder('libopenblas.so'), elf()) }).name).toMatch(/^OpenBLAS/);
  });

  it('the package that calls libraries may be absent', () => {
    const absent = (): never => { throw new Error('koffi does not load here'); };
    expect(() => find({ XMOE_BLAS: write(inFolder('libopenblas.so'), elf()) }, absent)).toThrow('koffi does not load here');
  });
});

describe('a real file', () => {
  const compiler = spawnSync('cc', ['--version']).status === 0;
  const why = compiler ? '' : ' (skipped: there is no C compiler)';

  function compiled(name: string, code: string): string {
    const source = write(inFolder(`${name}.c`), code);
    const target = inFolder(`${name}.so`);
    expect(spawnSync('cc', ['-shared', '-fPIC', '-o', target, source]).status).toBe(0);
    return target;
  }
  const named = (library: string) => createNativeBackend({ threads: 2, library });

  it.runIf(compiler && process.platform === 'linux')(`of an unknown name that ends the process that loads it is only refused${why}`, async () => {
    await expect(named(compiled('crash', '__attribute__((constructor)) static void start(void) { __builtin_trap(); }'))).rejects.toThrow(/a process that calls it ends with SIG/);
    await expect(named(compiled('dying', 'void cblas_sgemm(void) { __builtin_trap(); }'))).rejects.toThrow(/a process that calls it ends with SIG/);
    await expect(named(compiled('libmkl_rt', 'void exit(int); void cblas_sgemm(void) { exit(2); } void MKL_Get_Version_String(void) {}'))).rejects.toThrow(/a process that calls it ends with status 2/);
    await expect(named(compiled('stranger', 'int cblas_sgemm(void) { return 1; }'))).rejects.toThrow('it is none of MKL, BLIS and OpenBLAS');
    await expect(named(compiled('wrong', 'const char *openblas_get_config(void) { return "OpenBLAS 0.3.30 "; } void cblas_sgemm(void) {}'))).rejects.toThrow(/computes wrong numbers/);
    expect(process.env.MKL_THREADING_LAYER).toBeUndefined();
  });

  it('that is damaged behind its first bytes is refused', async () => {
    await expect(named(write(inFolder('damaged/libopenblas.so'), elf()))).rejects.toMatchObject({ code: 'backend', message: expect.stringMatching(/does not load|not a shared library|another processor/) });
  });

  const library = testLibrary();
  it.runIf('file' in library)('of this machine is named in the description and as the library', async () => {
    const { file, name } = library as { file: string; name: string };
    vi.stubEnv('XMOE_BLAS', file);
    const backend = await createNativeBackend({ threads: 2, variant: 'relaxed' });
    expect(backend).toMatchObject({ name: 'cpu:native', library: name, description: `CPU, 2 threads, WebAssembly relaxed SIMD, products by ${name}` });
    backend.dispose();
    expect(thisPlace().env.OPENBLAS_NUM_THREADS).toBe(undefined);
  });
});

// doctor: what this machine offers and which backends compute here, with the reason where one does not. Changes nothing.
import { availableParallelism } from 'node:os';
import { createEngine, isXMoEError, matmul, sum, type Backend } from '@xmoe/core';
import type { BackendOpener } from './device.js';
import { mpiFindings } from './launch-command.js';
import { alignedFacts, type Terminal } from './terminal.js';
import { wasmFeatures } from './wasm-features.js';

type Finding = readonly [name: string, text: string];

export interface DoctorOptions {
  /** Name and version of the program. */
  program: string;
  version: string;
  /** What --backend takes, and what opens it. */
  backendNames: readonly string[];
  openBackend: BackendOpener;
  /** Whether to start ranks under each MPI. */
  mpi: boolean;
}

/** Exit code 1 when not even the default backend works. */
export async function doctorCommand(terminal: Terminal, { program, version, backendNames, openBackend, mpi }: DoctorOptions): Promise<void> {
  const before = wasmFeatures();
  const findings: Finding[] = [];
  for (const name of backendNames) findings.push([name, await diagnose(name, openBackend)]);
  const features = wasmFeatures().map(([name, accepted], index) => {
    if (accepted) return before[index]![1] ? name : `${name} (switched on by the engine)`;
    return `no ${name}`;
  });
  const node = `${process.version}, ${process.platform} ${process.arch}, ${availableParallelism()} hardware threads`;
  const engine = await cpuEngine(openBackend);
  const launched = mpi ? mpiFindings() : [];
  const judged = (all: readonly Finding[]) => all.map(([name, text]) => ({ name, works: text.startsWith(WORKS), text: text.replace(/^(works|no|wrong): /, '') }));
  terminal.result({ program, version, node, webAssembly: features, cpuEngine: engine, backends: judged(findings), ...(mpi ? { mpi: judged(launched) } : {}) }, [
    `${program} ${version}`,
    alignedFacts([['Node', node], ['WebAssembly', features.join(', ')], ['CPU engine', engine]]),
    '',
    'Backends',
    alignedFacts(findings),
    '',
    ...(mpi ? ['MPI', alignedFacts(launched), ''] : []),
  ].join('\n'));
  if (findings.some(([name, text]) => name === 'auto' && !text.startsWith(WORKS))) terminal.exitCode = 1;
}

const WORKS = 'works: ';

/** One line: whether `name` opens and multiplies correctly. */
async function diagnose(name: string, openBackend: BackendOpener): Promise<string> {
  try {
    const { backend, reason } = await openBackend(name);
    const found = await smallProduct(backend);
    if (found === EXPECTED) return `${WORKS}${reason.replace(/; asked for$/, '')}`;
    return `wrong: ones [4, 6] times ones [6, 5] sum to ${found} instead of ${EXPECTED} (${reason})`;
  } catch (error) {
    return `no: ${problemOf(error)}`;
  }
}

const EXPECTED = 120;

async function smallProduct(backend: Backend): Promise<number> {
  const engine = createEngine(backend);
  try {
    return await sum(matmul(engine.ones([4, 6]), engine.ones([6, 5]))).item();
  } finally {
    engine.dispose();
  }
}

/** What `--backend cpu` is where all is well. */
const ENGINES = new Set(['cpu:native', 'cpu:wasm']);

/** The variant, the threads and the library of the engine that `--backend cpu` is, in one line. */
export async function cpuEngine(openBackend: BackendOpener): Promise<string> {
  try {
    const { backend } = await openBackend('cpu');
    backend.dispose();
    return ENGINES.has(backend.name) ? backend.description : `${backend.description} (--backend cpu:wasm says why)`;
  } catch (error) {
    return problemOf(error);
  }
}

/** An error in one line, with what to do about it. */
function problemOf(error: unknown): string {
  const [first] = (error instanceof Error ? error.message : String(error)).split('\n');
  if (!isXMoEError(error)) return first!;
  return `${first!.replace(`${error.op}: `, '')}${error.hint ? `; ${error.hint}` : ''}`;
}

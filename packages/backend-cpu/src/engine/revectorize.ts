// The switches of V8 under which it joins pairs of 128-bit operations to one of 256 bits, and how code comes to be compiled under them.
// Whether the result can be trusted on this machine is for probe.ts to find out.
import { nodeProcess, v8Switches } from './platform.js';
import { webAssembly, type WasmModule } from './webassembly.js';

/** What V8 is built with from 12.9 on (Node 23.5 to 26). */
const USUAL_BUDGET = '--wasm-tiering-budget=13000000';

/** A function of a module that is made now is optimised after its first call. */
const EARLY = ['--wasm-tiering-budget=1'];

/** What is optimised now is re-vectorised, and at once rather than beside what runs. */
const JOINING = ['--experimental-wasm-revectorize', '--wasm-sync-tier-up'];
const AS_EVER = ['--no-experimental-wasm-revectorize', '--no-wasm-sync-tier-up'];

/** Everything that is switched, for who remembers a verdict on it. */
export const SWITCHES = [...EARLY, ...JOINING].join(' ');

/** Undefined where the compiler can join operations, else why it cannot. */
export function whyNoJoining(): string | undefined {
  if (nodeProcess === undefined) return 'only Node has the switch';
  const { arch, versions } = nodeProcess;
  if (arch !== 'x64') return `the processor is ${arch}, not x64`;
  const [major, minor] = versions.node!.split('.').map(Number);
  return major > 23 || (major === 23 && minor >= 5) ? undefined : `Node ${versions.node} is older than 23.5`;
}

/** Whether there is a Node that can on this machine. */
export const couldJoin = (): boolean => nodeProcess?.arch === 'x64';

/** Compiles a module whose functions are each optimised after their first call: under `revectorizing`, if that call comes there. */
export async function compileForJoining(bytes: Uint8Array): Promise<WasmModule> {
  const set = await v8Switches();
  set(EARLY);
  try {
    return new webAssembly!.Module(bytes);
  } finally {
    set([nodeProcess!.execArgv.find((flag) => flag.startsWith('--wasm-tiering-budget=')) ?? USUAL_BUDGET]);
  }
}

/**
 * Runs `work` with the compiler joining operations; what it does after it first waits is outside. No other code of this thread runs
 * meanwhile, and that of other threads is compiled as well by the same rules.
 *
 * Not `--no-liftoff`, which would compile in full at the first call: V8 from 14 on (Node 25) then ends the process, unless speculation of its
 * optimiser is switched off too, which it does only for switches of the command line.
 */
export async function revectorizing<Result>(work: () => Promise<Result>): Promise<Result> {
  const set = await v8Switches();
  set(JOINING);
  try {
    return work();
  } finally {
    set(AS_EVER);
  }
}

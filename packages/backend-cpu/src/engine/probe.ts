// Whether re-vectorised kernels may be used on this machine, by this Node. They are tried in a child process first (probe-child.ts), because
// what compiles them is an experiment of V8's, and an error of a compiler ends the process. What was found holds for one Node, processor
// and compiled file, and is remembered.
import { WASM_FILES } from '../wasm-files.js';
import { askChild } from './child.js';
import { nodeModule, nodeProcess, readBinary } from './platform.js';
import { SWITCHES, whyNoJoining } from './revectorize.js';
import { keepVerdict, recallVerdict } from './verdicts.js';

/** A second of arithmetic, on a machine that may be busy. */
const DEADLINE_MILLISECONDS = 60_000;
const A_DAY = 24 * 60 * 60 * 1000;

/** Switches of the command line that change how V8 compiles: the child gets them too. */
const COMPILER_SWITCH = /^--.*(wasm|liftoff|turbo|single-threaded)/;

let answer: Promise<string | undefined> | undefined;

/** Undefined where re-vectorised kernels run and are right, else why they are not used. A process asks once. */
export async function whyNotRevectorized(): Promise<string | undefined> {
  return whyNoJoining() ?? (await (answer ??= findOut()));
}

async function findOut(): Promise<string | undefined> {
  const { execPath, execArgv } = nodeProcess!;
  const program = (await nodeModule('node:path')).basename(execPath);
  // Electron, a single executable: started as a child it would be the whole application again.
  if (!/^node/i.test(program)) return `a probe would need Node itself, and this is ${program}`;
  const probe = new URL('probe.mjs', WASM_FILES.revectorized);
  const switches = execArgv.filter((flag) => COMPILER_SWITCH.test(flag));
  try {
    const question = await questionOf(probe, switches);
    const { fileURLToPath } = await nodeModule('node:url');
    return (await askOnce(question, [...switches, fileURLToPath(probe)], DEADLINE_MILLISECONDS)) ?? undefined;
  } catch (error) {
    return `the probe cannot be read: ${(error as Error).message}`;
  }
}

/** Asks the program of `args` unless its answer to `question` is remembered. Null for yes, else why not. */
export async function askOnce(question: string, args: readonly string[], deadlineMilliseconds: number): Promise<string | null> {
  const known = await recallVerdict('revectorized', question);
  if (known) return known.refusal;
  const { output, problem, holds } = await askChild(args, deadlineMilliseconds);
  const refusal = output === undefined ? `the probe failed: ${problem}` : refusalIn(output);
  const isCertain = holds === 'always' && !refusal?.startsWith(SLOW);
  if (holds !== 'not') await keepVerdict('revectorized', question, { refusal, until: isCertain ? null : Date.now() + A_DAY });
  return refusal;
}

/** How the refusal of a probe begins that found nothing wrong but the speed: a busy machine may have been the reason. */
export const SLOW = 'not faster';

function refusalIn(output: string): string | null {
  try {
    const { refusal } = JSON.parse(output) as { refusal: unknown };
    if (refusal === null || typeof refusal === 'string') return refusal;
  } catch {
    // Not what it prints.
  }
  return `the probe printed ${JSON.stringify(output.slice(0, 40))}`;
}

/** All that the answer depends on, as text. */
async function questionOf(probe: URL, switches: readonly string[]): Promise<string> {
  const { createHash } = await nodeModule('node:crypto');
  const { cpus } = await nodeModule('node:os');
  const hashOf = async (url: URL): Promise<string> => createHash('sha256').update(await readBinary(url)).digest('hex');
  const { arch, platform, versions } = nodeProcess!;
  return JSON.stringify({
    node: versions.node, v8: versions.v8, platform, arch, processor: cpus()[0]?.model ?? 'unknown', features: createHash('sha256').update(await features()).digest('hex').slice(0, 16),
    kernels: await hashOf(WASM_FILES.revectorized), probe: await hashOf(probe), switches: [SWITCHES, ...switches],
  });
}

/** What the processor can do, where the system says it: machines of one model may be given different parts of it. */
async function features(): Promise<string> {
  try {
    const text = await (await nodeModule('node:fs/promises')).readFile('/proc/cpuinfo', 'utf8');
    return /^flags\s*:.*$/m.exec(text)?.[0] ?? '';
  } catch {
    return '';
  }
}

// Calls that fail: a full disk, a broken one, no descriptors, no permission, at every call of a run that changes a file. The run must
// end with another code than 0 and one clear line, keep the checkpoints that it had, and go on once the fault is gone.
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { hasFired, loggedCalls, placesOf, type Ended, type Fault } from './processes.js';
import { createTally, eachOf, sampleOf, type FaultResult, type SectionOptions } from './result.js';
import { createSmallRun, type SmallRun } from './small-run.js';

/** What each call can fail with. */
const CODES: Readonly<Record<string, readonly string[]>> = {
  open: ['ENOSPC', 'EMFILE', 'EACCES'],
  write: ['ENOSPC', 'EIO'],
  writeFile: ['ENOSPC', 'EIO'],
  fsync: ['EIO'],
  rename: ['EIO', 'EACCES'],
  link: ['ENOSPC', 'EACCES'],
  mkdir: ['ENOSPC', 'EACCES'],
};

interface Case {
  readonly at: number;
  readonly name: string;
  readonly path: string;
  readonly code: string;
}

export async function failingCalls({ folder, launch, share, jobs, say }: SectionOptions): Promise<FaultResult[]> {
  const small = await createSmallRun('xmoe-lm', launch, folder);
  const out = join(folder, 'counted');
  const log = join(folder, 'calls.log');
  await small.run(out, { under: out, mode: 'count', log });
  const calls = loggedCalls(log).map((call, at) => ({ ...call, at: at + 1, path: call.path.slice(out.length) }));
  rmSync(out, { recursive: true, force: true });

  const failing = createTally('F9', 'one call fails (ENOSPC, EIO, EMFILE, EACCES), then resumed');
  const places = new Set(placesOf(calls));
  const cases = calls.filter(({ at }) => places.has(at)).flatMap(({ at, name, path }): Case[] => (CODES[name] ?? []).map((code) => ({ at, name, path, code })));
  await eachOf(sampleOf(cases, share), jobs, async ({ at, name, path, code }) => {
    const run = join(folder, `fail-${at}-${code}`);
    failing.add(`${code} at ${name} of ${path}`, await failAndResume(small, run, { mode: 'fail', at, code, under: run, fired: `${run}.fired` }));
    rmSync(run, { recursive: true, force: true });
  });
  say(`${failing.result().passed} of ${failing.result().tried} failing calls`);

  const full = createTally('F8', 'the disk is full from one write on, then resumed');
  // Counted among writes and new files alone.
  const room = calls.filter(({ name }) => name === 'write' || name === 'open');
  const writes = room.flatMap(({ name, path, at }, index) => (name === 'write' && places.has(at) ? [{ path, at: index + 1 }] : []));
  await eachOf(sampleOf(writes, share), jobs, async ({ path, at }) => {
    const run = join(folder, `full-${at}`);
    full.add(`full at ${path}`, await failAndResume(small, run, { mode: 'full', calls: ['write', 'open'], at, under: run, fired: `${run}.fired` }));
    rmSync(run, { recursive: true, force: true });
  });
  return [failing.result(), full.result()];
}

async function failAndResume(small: SmallRun, out: string, fault: Fault): Promise<string[]> {
  const failed = await small.run(out, fault);
  if (!hasFired(fault)) return [`the fault never struck (the run ended with ${failed.code})`];
  rmSync(fault.fired!, { force: true });
  const loud = failed.code === 0 && small.differences(out).length === 0 ? [] : loudness(failed);
  const left = existsSync(out) ? temporariesOf(out) : [];
  const resumed = await small.run(out);
  return [
    ...loud,
    ...left.map((name) => `left behind at once: ${name}`),
    ...(resumed.code === 0 ? [] : [`going on ended with ${resumed.code}: ${resumed.messages.trimEnd().split('\n').at(-1)}`]),
    ...small.differences(out),
  ];
}

/** A failure is told by the exit code and one line without a stack. */
function loudness({ code, messages }: Ended): string[] {
  if (code === 0) return ['it ended with 0'];
  if (code === null) return ['it was killed'];
  return /\n {4}at |unexpected error/.test(messages) ? [`a stack instead of a line: ${messages.slice(-300)}`] : [];
}

const temporariesOf = (out: string): string[] =>
  (readdirSync(out, { recursive: true }) as string[]).filter((name) => /(^|\/)\.temporary-/.test(name));

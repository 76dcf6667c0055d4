// Crash points: the process dies before, after and in the middle of every call of a run that changes a file, from its start to its
// summary, and while it resumes. The run that goes on must end as the undisturbed one, without a manual step.
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { hasFired, loggedCalls, placesOf, type Fault, type LoggedCall } from './processes.js';
import { createTally, eachOf, sampleOf, type FaultResult, type SectionOptions } from './result.js';
import { createSmallRun, type SmallRun } from './small-run.js';

const MODES = [
  { mode: 'kill', what: 'before a call' },
  { mode: 'kill-after', what: 'after a call' },
  { mode: 'torn', what: 'in the middle of a call' },
] as const;

/** Only these can be done by half. */
const TORN = new Set(['write', 'writeFile', 'appendFile', 'rm']);

export async function crashPoints({ folder, launch, share, jobs, say }: SectionOptions): Promise<FaultResult[]> {
  const small = await createSmallRun('xmoe-lm', launch, folder);
  const calls = await callsOf(small, join(folder, 'counted'), join(folder, 'calls.log'));
  say(`${calls.length} calls of an undisturbed run change files`);
  const results: FaultResult[] = [];
  for (const { mode, what } of MODES) {
    const points = sampleOf(placesOf(calls).filter((at) => mode !== 'torn' || TORN.has(calls[at - 1]!.name)), share);
    const tally = createTally('F2', `killed ${what}, then resumed`);
    await eachOf(points, jobs, async (at) => {
      const out = join(folder, `${mode}-${at}`);
      const { name, path } = calls[at - 1]!;
      tally.add(`call ${at}, ${name} of ${path}`, await crashAndResume(small, out, { mode, at, under: out, fired: `${out}.fired` }));
      rmSync(out, { recursive: true, force: true });
    });
    results.push(tally.result());
    say(summaryOf(results.at(-1)!));
  }
  return [...results, await crashInResume(small, { folder, share, jobs })];
}

async function callsOf(small: SmallRun, out: string, log: string): Promise<LoggedCall[]> {
  await small.run(out, { under: out, mode: 'count', log });
  rmSync(out, { recursive: true, force: true });
  return loggedCalls(log).map(({ name, path }) => ({ name, path: path.slice(out.length) }));
}

/** Kills one run, lets it go on, and says what is wrong with the result. */
async function crashAndResume(small: SmallRun, out: string, fault: Fault): Promise<string[]> {
  const killed = await small.run(out, fault);
  if (!hasFired(fault)) return [`the fault never struck (the run ended with ${killed.code})`];
  rmSync(fault.fired!, { force: true });
  return resumed(small, out);
}

async function resumed(small: SmallRun, out: string): Promise<string[]> {
  const { code, messages } = await small.run(out);
  return [...(code === 0 ? [] : [`going on ended with ${code}: ${messages.trimEnd().split('\n').at(-1)}`]), ...small.differences(out)];
}

/** F3: a run killed half-way is killed again at every call of its resumed session. */
async function crashInResume(small: SmallRun, { folder, share, jobs }: Pick<SectionOptions, 'folder' | 'share' | 'jobs'>): Promise<FaultResult> {
  const tally = createTally('F3', 'killed while a resumed run starts, saves and finishes, then resumed');
  const interrupt = async (out: string): Promise<void> => {
    // The second checkpoint's rename: there is one checkpoint, and a half-made second.
    await small.run(out, { under: out, and: 'step-', calls: ['rename'], mode: 'kill', at: 2 });
  };
  const counted = join(folder, 'resumed');
  await interrupt(counted);
  const log = join(folder, 'resumed.log');
  await small.run(counted, { under: counted, mode: 'count', log });
  const points = sampleOf(placesOf(loggedCalls(log)), share);
  await eachOf(points, jobs, async (at) => {
    const out = join(folder, `resume-${at}`);
    await interrupt(out);
    tally.add(`call ${at} of the resumed run`, existsSync(join(out, 'config.json'))
      ? await crashAndResume(small, out, { mode: at % 2 === 0 ? 'kill' : 'kill-after', at, under: out, fired: `${out}.fired` })
      : ['it left no run']);
    rmSync(out, { recursive: true, force: true });
  });
  return tally.result();
}

const summaryOf = ({ fault, what, passed, tried }: FaultResult): string => `${fault} ${what}: ${passed} of ${tried}`;

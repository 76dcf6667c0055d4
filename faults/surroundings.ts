// Other surroundings than those that a run began in: clock, time zone, language, rights of new files, no home; and places where no
// run can be. The first change nothing, the second are refused before the first step.
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loggedCalls, spawnProgram } from './processes.js';
import { createTally, type FaultResult, type SectionOptions } from './result.js';
import { createSmallRun } from './small-run.js';

const YEARS = 31_556_952_000;
const clock = new URL('./other-clock.mjs', import.meta.url).href;

const ENVIRONMENTS: Readonly<Record<string, { environment?: Readonly<Record<string, string>>; preload?: string }>> = {
  'a clock 21 years slow that jumps back': { environment: { XMOE_CLOCK: String(-21 * YEARS) }, preload: clock },
  'a clock 30 years fast that jumps back': { environment: { XMOE_CLOCK: String(30 * YEARS) }, preload: clock },
  'TZ=Pacific/Kiritimati': { environment: { TZ: 'Pacific/Kiritimati' } },
  'LC_ALL=tr_TR.UTF-8': { environment: { LC_ALL: 'tr_TR.UTF-8', LANG: 'tr_TR.UTF-8' } },
  'LC_ALL=C': { environment: { LC_ALL: 'C', LANG: 'C' } },
  'no HOME, no TMPDIR': { environment: { HOME: '', TMPDIR: '', XDG_CACHE_HOME: '' } },
  'umask 077': { preload: `data:text/javascript,${encodeURIComponent('process.umask(0o077)')}` },
};

export async function surroundings({ folder, launch }: SectionOptions): Promise<FaultResult[]> {
  const small = await createSmallRun('xmoe-lm', launch, folder);
  const same = createTally('F44', 'half a run, the rest with another clock, zone, language, umask, home: the same run');
  for (const [name, { environment, preload }] of Object.entries(ENVIRONMENTS)) {
    const out = join(folder, `other-${same.result().tried}`);
    // The rename of the second checkpoint: the first is saved.
    await small.run(out, { under: out, and: 'step-', calls: ['rename'], mode: 'kill', at: 2 });
    const command = [...(preload ? ['--import', preload] : []), ...launch['xmoe-lm']];
    const { code, messages } = await spawnProgram(command, ['train', '--resume', '--out', out], environment ? { environment } : {}).ended;
    same.add(name, [...(code === 0 ? [] : [`ended with ${code}: ${messages.trimEnd().split('\n').at(-1)}`]), ...small.differences(out)]);
    rmSync(out, { recursive: true, force: true });
  }
  const refused = createTally('F10', '--out is a file, below a file, on a system folder, empty, too long: refused before step 1, nothing made');
  writeFileSync(join(folder, 'a-file'), 'mine');
  const before = readdirSync(folder).join();
  for (const out of [join(folder, 'a-file'), join(folder, 'a-file', 'run'), '/proc/run', '', join(folder, 'n'.repeat(300))]) {
    const { code, messages } = await small.run(out);
    refused.add(out.slice(0, 60), [
      ...(code !== 0 && code !== null ? [] : [`ended with ${code}`]),
      ...(/\n {4}at |unexpected error|^step /m.test(messages) ? [`said ${messages.slice(-200)}`] : []),
      ...(readdirSync(folder).join() === before ? [] : ['something was made']),
    ]);
  }
  return [same.result(), refused.result(), fileOrder(await callsInOrder(small, folder))];
}

async function callsInOrder(small: Awaited<ReturnType<typeof createSmallRun>>, folder: string): Promise<readonly { name: string; path: string }[]> {
  const log = join(folder, 'order.log');
  const out = join(folder, 'order');
  await small.run(out, { under: out, mode: 'count', log });
  return loggedCalls(log);
}

/** F15: a checkpoint's files are synced before its folder, that before it gets its name, and then the folder of checkpoints. */
function fileOrder(calls: readonly { name: string; path: string }[]): FaultResult {
  const tally = createTally('F15', 'each checkpoint: files synced, its folder synced, renamed, their folder synced');
  calls.forEach(({ name, path }, renamed) => {
    if (name !== 'rename' || !/step-\d+$/.test(path) || path.includes('.temporary-')) return;
    const target = path.slice(path.lastIndexOf('/') + 1);
    const made = calls.findLastIndex((call, at) => at < renamed && call.name === 'mkdir' && call.path.endsWith(`-${target}`));
    const [temporary, between] = [calls[made]?.path ?? '', calls.slice(made + 1, renamed)];
    const files = new Set(between.filter((call) => call.name === 'write').map((call) => call.path));
    const synced = (file: string): boolean => between.findLastIndex((call) => call.name === 'fsync' && call.path === file) > between.findLastIndex((call) => call.name === 'write' && call.path === file);
    const next = calls[renamed + 1];
    tally.add(target, [
      ...[...files].filter((file) => !synced(file)).map((file) => `${file} is not synced after its last write`),
      ...(files.size >= 4 ? [] : [`only ${files.size} files`]),
      ...(between.at(-1)?.name === 'fsync' && between.at(-1)?.path === temporary ? [] : ['the folder is not synced last']),
      ...(next?.name === 'fsync' && path.startsWith(next.path) ? [] : ['the folder of checkpoints is not synced after the rename']),
    ]);
  });
  return tally.result();
}

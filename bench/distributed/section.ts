// The section `distributed`: steps of two ranks of one thread beside one process of two threads, what travels in them and how long it takes, in
// shared memory and over a link of 1 Gbit/s between two "hosts" of this machine. Its ranks are rank.ts; they take turns as contestants do everywhere.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { isXMoEError, XMoEError } from '@xmoe/core';
import { findLauncher, launchLine, type Launcher } from '@xmoe/distributed/node';
import { openTwoHosts } from '../../scripts/lib/two-hosts.mjs';
import { measureInterleaved, ratioOf, type Contestant, type MeasureOptions, type Timing } from '../measure.js';
import type { Row, Table } from '../table.js';
import { QUICK_BATCH } from '../train-step.js';
import { KINDS } from './counted-comm.js';
import type { RankAnswer, RankJob, RankRequest } from './rank.js';

const PRESETS = ['tiny', 'small'];
const RANKS = 2;
/** Of each update, shared out among the ranks. */
const MICRO_BATCHES = 4;
const LINK = '1gbit';
/** float32 numbers: of a message that costs what a call costs, and of one that costs what its bytes do. */
const [SHORT, LONG] = [2, 2 ** 22];

/** Of a layout whose sums begin within the backward pass, beside the same without. */
const AT_THE_END = ', sums at the end';
const LAYOUTS: RankJob['layouts'] = [
  ...[
    { name: 'data parallel, fast', set: ['train.reduction=fast'] },
    { name: 'data parallel, deterministic', set: ['train.reduction=deterministic'] },
    { name: 'sharded optimiser', set: ['train.reduction=deterministic', 'train.shardOptimizer=true'] },
  ].flatMap((layout) => [layout, { ...layout, name: layout.name + AT_THE_END, atTheEnd: true }]),
  { name: 'expert parallel', set: ['train.reduction=deterministic', `train.expertParallel=${RANKS}`] },
];
const ALONE: RankJob['layouts'] = [{ name: 'device', set: ['train.reduction=device'] }, { name: 'deterministic', set: ['train.reduction=deterministic'] }];

/** Processes that do what they are asked. */
interface Workers {
  readonly description: string;
  ask(request: RankRequest): Promise<RankAnswer>;
  close(): Promise<void>;
}

/** This program's own flags: sources or what was built, garbage collected or not. */
const programOf = (job: RankJob): string[] => {
  const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  const flags = process.execArgv.filter((flag) => flag === '--expose-gc' || flag.startsWith('--conditions'));
  return [process.execPath, ...flags, '--import', loader, fileURLToPath(new URL('rank.ts', import.meta.url)), JSON.stringify(job)];
};

/** @throws XMoEError `backend` with what the processes said, when they end before they should */
async function startWorkers(line: readonly string[], env: NodeJS.ProcessEnv): Promise<Workers> {
  const child = spawn(line[0]!, line.slice(1), { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  let messages = '';
  child.stderr.on('data', (data: Buffer) => (messages = (messages + data.toString()).slice(-2000)));
  child.stdin.on('error', () => undefined); // its end says more
  const ended = once(child, 'close');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<unknown> => {
    const { value, done } = await lines.next();
    if (!done) return JSON.parse(value) as unknown;
    const [code] = (await ended) as [number | null];
    throw new XMoEError('backend', `the ranks ended with ${code}: ${messages.trim()}`, { op: 'bench' });
  };
  const { ready } = (await next()) as { ready: string };
  return {
    description: ready,
    async ask(request) {
      child.stdin.write(`${JSON.stringify(request)}\n`);
      return (await next()) as RankAnswer;
    },
    async close() {
      child.stdin.end();
      await ended;
    },
  };
}

/** Where ranks meet. */
interface Place {
  readonly name: string;
  readonly workers: Workers;
}

/** A layout at a place, and what its quickest sample said of it. */
interface Measured {
  readonly where: string;
  readonly name: string;
  best?: RankAnswer;
}

function contestantOf({ workers }: Pick<Place, 'workers'>, measured: Measured): Contestant {
  const ask = async (loops: number): Promise<number> => {
    const answer = await workers.ask({ name: measured.name, loops });
    if (measured.best === undefined || answer.milliseconds / loops < measured.best.milliseconds) measured.best = { ...answer, milliseconds: answer.milliseconds / loops };
    return answer.milliseconds;
  };
  return { name: `${measured.where}, ${measured.name}`, run: async () => void (await ask(1)), time: ask };
}

const COLUMNS: Table['columns'] = [
  { key: 'where', label: 'where' }, { key: 'layout', label: 'layout' }, { key: 'minMs', label: 'min ms/step', digits: 1 }, { key: 'medianMs', label: 'median ms/step', digits: 1 },
  { key: 'ofOne', label: '× one process (min)' }, { key: 'ofFast', label: 'time of fast (min)' }, { key: 'transferShare', label: 'transfers %', digits: 1 }, { key: 'waitingShare', label: 'waiting %', digits: 1 },
  { key: 'gradientShare', label: 'gradients %', digits: 1 }, { key: 'hiddenShare', label: 'hidden %', digits: 0 },
  { key: 'calls', label: 'calls/step', digits: 0 },
];
const BYTE_COLUMNS: Table['columns'] = [{ key: 'layout', label: 'layout' }, ...KINDS.map((kind) => ({ key: kind, label: `${kind} kB`, digits: 1 }))];

function stepTable(preset: string, measured: readonly Measured[], timings: readonly Timing[], absent: readonly string[]): Table {
  const rows = measured.map(({ where, name, best }, index): Row => {
    const timing = timings[index]!;
    const fast = measured.findIndex((other) => other.where === where && other.name === LAYOUTS[0]!.name);
    const share = (milliseconds: number): number => (100 * milliseconds) / best!.milliseconds;
    const atTheEnd = measured.find((other) => other.where === where && other.name === name + AT_THE_END);
    return {
      where, layout: name, minMs: timing.min, medianMs: timing.median, ofOne: ratioOf(timings[0]!, timing).min,
      ...(fast === -1 ? {} : { ofFast: ratioOf(timing, timings[fast]!).min, transferShare: share(best!.transfer), waitingShare: share(best!.waiting), gradientShare: share(best!.gradients), calls: best!.calls }),
      ...(atTheEnd ? { hiddenShare: 100 * (1 - best!.gradients / atTheEnd.best!.gradients) } : {}),
    };
  });
  return {
    id: `distributed-step-${preset}`,
    title: `Steps on two ranks: ${preset}`,
    note: `Updates of ${MICRO_BATCHES} micro-batches of the preset ${preset}. One process has ${RANKS} threads, each of ${RANKS} ranks one. "× one process" is the time of the first row / that of the row: `
      + 'the aim is ≥ 0.95 in shared memory. Transfers: the share of the quickest step in which nobody was waited for; waiting: the rest of the time in collectives, for the slower rank. Gradients: those of the transfers. Sums begin within the backward pass unless "at the end"; '
      + 'hidden: how much less of the transfers of gradients is waited for than there. '
      + absent.map((reason) => ` Not measured: ${reason}.`).join(''),
    columns: COLUMNS,
    rows,
  };
}

function byteTable(preset: string, measured: readonly Measured[], where: string): Table {
  return {
    id: `distributed-bytes-${preset}`,
    title: `What a rank sends in a step: ${preset}`,
    note: `Mean of ${RANKS} ranks, in 1000 bytes; sums and gatherings by the algorithm that sends least. Claims go to experts and results come back, in both passes; figures are norms, losses, and what ranks agree on.`,
    columns: BYTE_COLUMNS,
    rows: measured.filter((row) => row.where === where).map(({ name, best }) => ({ layout: name, ...Object.fromEntries(KINDS.map((kind) => [kind, best!.bytes[kind] / 1000])) })),
  };
}

/** Collectives alone, for the model of docs/distributed.md. */
async function collectiveTable(places: readonly Place[], lengths: readonly number[], quick: boolean, options: MeasureOptions): Promise<Table> {
  const rows: Row[] = [];
  for (const length of lengths) {
    const measured = places.flatMap(({ name: where }) => ['allReduce', 'reduceInOrder', 'allToAllV', 'allToAllVNow'].map((name): Measured => ({ where, name: `${name} ${length}` })));
    const loops = length > SHORT ? 1 : quick ? 2 : 200;
    const timings = await measureInterleaved(measured.map((of) => {
      const contestant = contestantOf(places.find(({ name }) => name === of.where)!, of);
      return { ...contestant, run: async () => void (await contestant.time!(loops)), time: async (count: number) => (await contestant.time!(loops * count)) / loops };
    }), { ...options, sampleMs: 0 });
    measured.forEach(({ where, name }, index) => {
      const { min, median } = timings[index]!;
      rows.push({ where, call: name.split(' ')[0]!, kilobytes: (4 * length) / 1000, minMs: min, medianMs: median, gigabytesPerSecond: (4 * length) / min / 1e6 });
    });
  }
  return {
    id: 'distributed-collectives',
    title: 'Collectives alone',
    note: `float32, ${RANKS} ranks. GB/s: of the array of one rank; an all-to-all sends 1/${RANKS} of it, a sum as much as all of it.`,
    columns: [
      { key: 'where', label: 'where' }, { key: 'call', label: 'call' }, { key: 'kilobytes', label: 'kB', digits: 3 }, { key: 'minMs', label: 'min ms', digits: 4 }, { key: 'medianMs', label: 'median ms', digits: 4 },
      { key: 'gigabytesPerSecond', label: 'GB/s', digits: 3 },
    ],
    rows,
  };
}

/** What is measured here, what is not and why, and all that the caller closes again. */
interface Opened {
  readonly places: Place[];
  readonly absent: string[];
  readonly open: Place[];
}

/** Starts the ranks of each place. */
async function openPlaces(launcher: Launcher, job: RankJob, { places, absent, open }: Opened, hosts: ReturnType<typeof openTwoHosts>): Promise<void> {
  const request = { ranks: RANKS, command: programOf(job), cores: availableParallelism(), isRoot: process.getuid?.() === 0, env: process.env };
  const start = async (where: string, line: readonly string[], env = {}): Promise<void> => {
    const place = { name: `${where}, ${launcher.family}`, workers: await startWorkers(line, { XMOE_THREADS: '1', ...env }) };
    places.push(place);
    open.push(place);
  };
  await start('shared memory', [launcher.file, ...launchLine(launcher, request)]);
  if ('absent' in hosts) absent.push(hosts.absent);
  else await start(`link of ${LINK}`, hosts.command([launcher.file, ...launchLine(launcher, { ...request, hosts: hosts.hosts.join(',') })]), hosts.env);
}

/** Without an MPI a table that says so. @param backend a name for `openBackend` */
export async function benchDistributed(backend: string, quick: boolean, options: MeasureOptions): Promise<Table[]> {
  let launcher: Launcher;
  try {
    launcher = findLauncher();
  } catch (error) {
    if (!isXMoEError(error)) throw error;
    return [{ id: 'distributed-absent', title: 'Steps on two ranks', note: `Not measured: ${error.message} (${error.hint}, or scripts/install-mpi.sh).`, columns: COLUMNS, rows: [] }];
  }
  const tables: Table[] = [];
  for (const [index, preset] of PRESETS.entries()) tables.push(...(await benchPreset(launcher, { backend, preset, isLast: index === PRESETS.length - 1 }, quick, options)));
  return tables;
}

/** Steps of one preset; after the last one also collectives alone. */
async function benchPreset(launcher: Launcher, { backend, preset, isLast }: { backend: string; preset: string; isLast: boolean }, quick: boolean, options: MeasureOptions): Promise<Table[]> {
  const base = { backend, preset, set: [...(quick ? QUICK_BATCH : []), `train.accumulation=${MICRO_BATCHES}`] };
  const lengths = !isLast ? [] : quick ? [SHORT] : [SHORT, LONG];
  const [places, absent, open]: [Place[], string[], Place[]] = [[], [], []];
  const hosts = openTwoHosts(LINK);
  try {
    const one: Place = { name: 'one process', workers: await startWorkers(programOf({ ...base, layouts: ALONE, lengths: [] }), { XMOE_THREADS: String(RANKS) }) };
    open.push(one);
    await openPlaces(launcher, { ...base, layouts: LAYOUTS, lengths }, { places, absent, open }, hosts);
    const measured = [...ALONE.map(({ name }): Measured => ({ where: one.name, name })), ...places.flatMap(({ name: where }) => LAYOUTS.map(({ name }): Measured => ({ where, name })))];
    const timings = await measureInterleaved(measured.map((of) => contestantOf(open.find(({ name }) => name === of.where)!, of)), { ...options, sampleMs: 0 });
    return [stepTable(preset, measured, timings, absent), byteTable(preset, measured, places[0]!.name), ...(isLast ? [await collectiveTable(places, lengths, quick, options)] : [])];
  } finally {
    for (const { workers } of open) await workers.close();
    if (!('absent' in hosts)) hosts.close();
  }
}

// What `pnpm bench --only distributed` starts as ranks, or as one process: it does steps of several layouts, and collectives alone, as often as the
// first rank is told on its standard input, one JSON per line, and answers each with a line. The bench that asks is section.ts.
import { createInterface } from 'node:readline';
import { createEngine, initializeParameters, randomKey, type Engine } from '@xmoe/core';
import { fromFirst, gatherValues, groupRanks, reduceInOrder, type Comm } from '@xmoe/distributed';
import { openComm } from '@xmoe/distributed/node';
import { createLanguageModelFromConfig, createLanguageModelTrainer } from '@xmoe/models';
import { openBackend } from '@xmoe/backends';
import { loadLanguagePreset } from '@xmoe/models/presets';
import { vocabularyOf, zipfBatch } from '../train-step.js';
import { countedGroups, createCallLog, KINDS, type CallLog, type Kind } from './counted-comm.js';

/** What the bench wants of the ranks, as JSON in the first argument. */
export interface RankJob {
  readonly backend: string;
  readonly preset: string;
  /** Of all layouts. */
  readonly set: readonly string[];
  /** `atTheEnd`: sums over ranks begin when all gradients are there. */
  readonly layouts: readonly { readonly name: string; readonly set: readonly string[]; readonly atTheEnd?: boolean }[];
  /** float32 numbers of the collectives that are measured alone. */
  readonly lengths: readonly number[];
}

/** A line on standard input of the first rank: what to do, how often. */
export interface RankRequest {
  readonly name: string;
  readonly loops: number;
}

export interface RankAnswer {
  /** Of all loops, on the first rank, begun and ended together. */
  readonly milliseconds: number;
  /** Per loop: bytes that a rank sends, the mean over ranks; calls; milliseconds in which nobody was waited for, and those of waiting. */
  readonly bytes: Readonly<Record<Kind, number>>;
  readonly calls: number;
  readonly transfer: number;
  /** Of `transfer`, that of gradients which is not beside the backward pass. */
  readonly gradients: number;
  readonly waiting: number;
}

interface Work {
  readonly log: CallLog;
  run(): Promise<void>;
}

/** Steps of the preset in one layout, on batches that are the same everywhere. */
async function stepsOf(comm: Comm, engine: Engine, { preset, set }: RankJob, layout: RankJob['layouts'][number]): Promise<Work> {
  const config = loadLanguagePreset(preset, { set: [...set, ...layout.set, 'train.schedule=constant'] });
  const log = createCallLog();
  const ranks = countedGroups(await groupRanks(comm, config.train.expertParallel ?? 1), log, !layout.atTheEnd);
  const model = createLanguageModelFromConfig(config, vocabularyOf(config), { experts: ranks.experts });
  const trainer = createLanguageModelTrainer(engine, config, model, initializeParameters(engine, model.parameters, randomKey(config.train.seed)), ranks);
  const batches = Array.from({ length: config.train.accumulation }, (_, index) => zipfBatch(config, index));
  return { log, run: async () => void (await trainer.step(batches, { collectRouting: false })) };
}

/** Each collective alone, by name. */
function collectives(comm: Comm, length: number): Record<string, () => Promise<void>> {
  const values = new Float32Array(length);
  const counts = new Int32Array(comm.size).fill(Math.floor(length / comm.size));
  const send = values.subarray(0, comm.size * counts[0]!);
  const receive = new Float32Array(send.length);
  return {
    allReduce: () => comm.allReduce(values, 'sum'),
    reduceInOrder: () => reduceInOrder(comm, values, comm.size),
    allToAllV: () => comm.allToAllV(send, counts, receive, counts),
    allToAllVNow: async () => comm.allToAllVNow(send, counts, receive, counts),
  };
}

async function measure(comm: Comm, { log, run }: Work, loops: number): Promise<RankAnswer> {
  await comm.barrier();
  log.clear();
  const started = performance.now();
  for (let loop = 0; loop < loops; loop++) await run();
  await comm.barrier();
  const milliseconds = performance.now() - started;
  const own = log.calls.map((call) => call.milliseconds);
  const all = await gatherValues(comm, own);
  // Who comes last waits for nobody: the shortest time of a call is that of the transfer.
  const transferOf = (index: number): number => Math.min(...all.map((times) => times[index] ?? Number.POSITIVE_INFINITY));
  const transfer = own.reduce((sum, _, index) => sum + transferOf(index), 0);
  const gradients = log.calls.reduce((sum, { kind }, index) => sum + (kind === 'gradients' ? transferOf(index) : 0), 0);
  const total = all.flat().reduce((sum, time) => sum + time, 0) / comm.size;
  const bytes = await gatherValues(comm, KINDS.map((kind) => log.calls.reduce((sum, call) => sum + (call.kind === kind ? call.bytes : 0), 0)));
  const perLoop = (value: number): number => value / loops;
  return {
    milliseconds,
    bytes: Object.fromEntries(KINDS.map((kind, index) => [kind, perLoop(bytes.reduce((sum, of) => sum + of[index]!, 0) / comm.size)])) as Record<Kind, number>,
    calls: perLoop(own.length), transfer: perLoop(transfer), gradients: perLoop(gradients), waiting: perLoop(total - transfer),
  };
}

async function main(job: RankJob): Promise<void> {
  const { comm } = openComm();
  const { backend } = await openBackend(job.backend);
  const engine = createEngine(backend);
  const works = new Map<string, Work>();
  for (const layout of job.layouts) works.set(layout.name, await stepsOf(comm, engine, job, layout));
  for (const length of comm.size > 1 ? job.lengths : []) {
    for (const [name, run] of Object.entries(collectives(comm, length))) works.set(`${name} ${length}`, { log: createCallLog(), run });
  }
  const lines = comm.rank === 0 ? createInterface({ input: process.stdin })[Symbol.asyncIterator]() : undefined;
  if (comm.rank === 0) process.stdout.write(`${JSON.stringify({ ready: backend.description })}\n`);
  for (;;) {
    const request = await comm.unhurried(async () => fromFirst(comm, lines ? ((await lines.next()).value ?? null) as string | null : null));
    if (request === null) break;
    const { name, loops } = JSON.parse(request) as RankRequest;
    const answer = await measure(comm, works.get(name)!, loops);
    if (comm.rank === 0) process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  await comm.close();
  engine.dispose();
}

await main(JSON.parse(process.argv[2]!) as RankJob);

// The ranks that a launcher (mpirun, srun) made of a training command: what they share of a host, what must be the same on all, and which of them
// speaks. What ranks do with each other is @xmoe/distributed.
import { availableParallelism } from 'node:os';
import { XMoEError } from '@xmoe/core';
import { fromFirst, requireSame, type Comm } from '@xmoe/distributed';
import { ignoresLauncher, openComm, readLauncher, type OpenedComm } from '@xmoe/distributed/node';
import type { ProgressStream } from '@xmoe/train/node';
import { codeHash } from './code-hash.js';
import type { TrainingPlan } from './plan-training.js';
import type { TaskConfig } from './task.js';

/** Of a rank that another one speaks for. */
export const SILENT: ProgressStream = { write: () => true };

/** How many of this command a launcher started; 1 where none did, or where it is to be ignored. */
export function countRanks(): number {
  return ignoresLauncher(process.env) ? 1 : (readLauncher(process.env)?.size ?? 1);
}

/** `rank 3: ` before what this process says of itself; empty in a process that no launcher started. */
export function rankPrefix(): string {
  try {
    const launched = readLauncher(process.env);
    return launched === undefined || launched.size === 1 ? '' : `rank ${launched.rank}: `;
  } catch {
    return '';
  }
}

/**
 * The ranks of this command, or this process alone. The threads of a host are shared out among its ranks, unless `XMOE_THREADS` says how many each takes.
 * @throws XMoEError what `openComm` does
 */
export function openRanks(): OpenedComm {
  const opened = openComm();
  const { launched } = opened;
  if (launched && launched.localSize > 1) process.env.XMOE_THREADS ??= String(Math.max(1, Math.floor(availableParallelism() / launched.localSize)));
  return opened;
}

/** The plan as all ranks follow it: one run directory, and a reduction that several can have. */
export async function planOnRanks<Config extends TaskConfig>(plan: TrainingPlan<Config>, { comm, launched }: OpenedComm): Promise<TrainingPlan<Config>> {
  if (launched === undefined) return plan;
  const { train } = plan.config;
  const config = train.reduction === undefined ? { ...plan.config, train: { ...train, reduction: 'deterministic' } } : plan.config;
  return { ...plan, config, out: await fromFirst(comm, plan.out) };
}

/** Refuses ranks of which one would compute something else. @throws XMoEError `config` that names the first and what differs */
export async function requireSameRanks(comm: Comm, facts: Readonly<Record<string, string>>): Promise<void> {
  if (comm.size === 1) return;
  await requireSame(comm, { 'the version of Node': process.version, 'the code of xmoe': codeHash(process.argv[1]), ...facts }, 'start the same program, with the same options, on all hosts');
}

/** @throws XMoEError `config` where ranks would have nothing to do in every update */
export function requireWork({ size }: Comm, accumulation: unknown): void {
  if (typeof accumulation !== 'number' || accumulation >= size) return;
  throw new XMoEError('config', `an update of ${accumulation} micro-${accumulation === 1 ? 'batch' : 'batches'} leaves some of ${size} ranks without work`, {
    hint: `--set train.accumulation=${size}, or a multiple of it; a smaller train.batchSize keeps the update as large`,
  });
}

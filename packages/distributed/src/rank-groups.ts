// Ranks in groups: of those of one group each holds a part of all experts, and what part it is, is the same in every group. Who computes what is
// not decided here.
import { XMoEError } from '@xmoe/core';
import type { Comm } from './comm.js';
import { SoloComm } from './solo-comm.js';

export interface RankGroups {
  readonly world: Comm;
  /** The ranks beside this one that together hold all experts once; this one alone where each holds all. */
  readonly experts: Comm;
  /** The ranks of all groups that hold what this one holds. */
  readonly data: Comm;
}

/** Every rank holds all experts. */
export const oneGroup = (world: Comm): RankGroups => ({ world, experts: new SoloComm(), data: world });

/**
 * Groups of `size` neighbours: ranks of one host, as launchers number them. Called by all ranks.
 * @throws XMoEError `config` unless `size` divides the number of ranks
 */
export async function groupRanks(world: Comm, size: number): Promise<RankGroups> {
  if (size === 1) return oneGroup(world);
  if (!Number.isInteger(size) || size < 1 || world.size % size !== 0) {
    throw new XMoEError('config', `experts spread over ${size} ranks do not go into ${world.size} ${world.size === 1 ? 'rank' : 'ranks'}`, {
      op: 'expert parallel', hint: `start a multiple of ${size} ranks, or --set train.expertParallel=1`,
    });
  }
  const experts = await world.split(Math.floor(world.rank / size));
  return { world, experts, data: size === world.size ? new SoloComm() : await world.split(world.rank % size) };
}

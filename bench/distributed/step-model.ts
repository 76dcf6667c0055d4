// How long a step takes on many ranks, as a formula of what it computes and of what travels: bytes and messages as our collectives send them, rates as
// they were measured. It measures nothing, and knows no more than is written here: docs/distributed.md says what that leaves out.
import { languageModelSize, type LanguageConfig } from '@xmoe/models';

/** What one rank and its network do. */
export interface Rates {
  /** FLOP/s of a whole training step on one rank. */
  readonly flops: number;
  /** Bytes/s that a rank sends while it receives as many. */
  readonly network: number;
  /** Seconds that a message takes beyond its bytes. */
  readonly latency: number;
  /** Bytes/s of the memory of a rank, for AdamW. */
  readonly memory: number;
  /** float32 additions per second on the host. */
  readonly additions: number;
}

export interface Layout {
  readonly ranks: number;
  /** Ranks that hold the experts together. */
  readonly experts: number;
  /** Micro-batches of an update on each rank. */
  readonly perRank: number;
  readonly sharded: boolean;
}

/** Seconds of a step, by what takes them. */
export interface StepTime {
  readonly compute: number;
  /** Claims to experts and results back, both passes. */
  readonly claims: number;
  /** Sums of gradients, in a fixed order. */
  readonly gradients: number;
  /** Of `gradients`, the bytes that travel beside the backward pass of the last micro-batch. */
  readonly hidden: number;
  /** AdamW, and parameters to all where the optimiser is over ranks. */
  readonly update: number;
  readonly total: number;
}

const FLOAT = 4;
/** Numbers that one call exchanges, as in reduce-in-order.ts. */
const BUCKET = 2 ** 22;
/** Numbers of a rank's part of a sum that begins within the backward pass, as in early-sums.ts. */
const EARLY_PART = 2 ** 17;
/** The backward pass's share of computing. */
const BACKWARD = 2 / 3;
/** Bytes of each parameter that AdamW reads and writes: gradient, weight and two moments are read, three written. */
const ADAMW = 7 * FLOAT;
/** Transfers of rows of an expert layer and micro-batch: there and back, in two passes; and one of counts. */
const TRANSFERS = 4;

/** Parameters that every rank has, those of all experts, and layers with experts. */
function partsOf({ model, moe }: LanguageConfig, vocabularySize: number): { dense: number; experts: number; layers: number } {
  const { parameters } = languageModelSize({ model, moe }, vocabularySize);
  if (!moe) return { dense: parameters, experts: 0, layers: 0 };
  const layers = Math.floor(model.layers / moe.every);
  const experts = layers * moe.experts * (2 * model.width * moe.expertHidden + moe.expertHidden + model.width);
  return { dense: parameters - experts, experts, layers };
}

/** Each collective begins with a reduction of a few numbers, by a tree up and down. */
const meeting = (ranks: number, { latency }: Rates): number => 2 * Math.ceil(Math.log2(ranks)) * latency;

/** An all-to-all of `bytes` from each of `ranks`: a message to each other rank, after one with its counts. */
const allToAll = (bytes: number, ranks: number, rates: Rates): number =>
  ranks === 1 ? 0 : meeting(ranks, rates) + 2 * (ranks - 1) * rates.latency + ((ranks - 1) / ranks) * (bytes / rates.network);

/** A sum of `count` numbers over `ranks` in a fixed order: parts to their ranks, additions there, and, unless each needs its own alone, parts to all. */
function sumOver(count: number, { ranks, sharded }: Pick<Layout, 'ranks' | 'sharded'>, rates: Rates): number {
  if (ranks === 1) return 0;
  const calls = Math.ceil(count / BUCKET);
  const bytes = ((ranks - 1) / ranks) * FLOAT * count;
  const parts = calls * (meeting(ranks, rates) + 2 * (ranks - 1) * rates.latency) + bytes / rates.network + count / rates.additions;
  return sharded ? parts : parts + calls * (meeting(ranks, rates) + Math.ceil(Math.log2(ranks)) * rates.latency) + bytes / rates.network;
}

/** The same within the backward pass, where every rank has all: no meetings, and the time of its bytes is known by itself. */
function earlySum(count: number, { ranks, sharded }: Pick<Layout, 'ranks' | 'sharded'>, rates: Rates): { bytes: number; rest: number } {
  if (ranks === 1) return { bytes: 0, rest: 0 };
  const [exchanges, calls] = [sharded ? 1 : 2, Math.ceil(count / Math.min(BUCKET, EARLY_PART * ranks))];
  return {
    bytes: (exchanges * ((ranks - 1) / ranks) * FLOAT * count) / rates.network,
    rest: exchanges * calls * (ranks - 1) * rates.latency + count / rates.additions,
  };
}

/** @param vocabularySize of the tokenizer */
export function stepTime(config: LanguageConfig, vocabularySize: number, { ranks, experts, perRank, sharded }: Layout, rates: Rates): StepTime {
  const { model, moe, train } = config;
  const parts = partsOf(config, vocabularySize);
  const tokens = train.batchSize * model.contextLength;
  const ownExperts = parts.experts / experts;
  const compute = (perRank * tokens * languageModelSize(config, vocabularySize).flopsPerToken) / rates.flops;
  const rows = tokens * (moe?.capacityFactor ?? 0) * model.width * FLOAT;
  const claims = experts === 1 ? 0 : perRank * parts.layers * (TRANSFERS * allToAll(rows, experts, rates) + allToAll(FLOAT * (moe?.experts ?? 0), experts, rates));
  // On the host: one addition per micro-batch. Within a group each rank gets its part of every micro-batch's gradients, then the groups add up.
  const onHost = (perRank * (parts.dense + ownExperts)) / rates.additions;
  const early = experts === 1 ? earlySum(parts.dense + parts.experts, { ranks, sharded }, rates) : { bytes: 0, rest: 0 };
  const spread = experts === 1 ? 0 : perRank * allToAll(FLOAT * parts.dense, experts, rates) + sumOver(parts.dense / experts, { ranks: ranks / experts, sharded }, rates) + (sharded ? 0 : allToAll(FLOAT * parts.dense, experts, rates))
      + sumOver(ownExperts, { ranks: ranks / experts, sharded }, rates);
  const gradients = onHost + early.bytes + early.rest + spread;
  const hidden = Math.min(early.bytes, (BACKWARD * compute) / perRank);
  const held = parts.dense + ownExperts;
  const [changed, gathered] = sharded ? [parts.dense / ranks + (ownExperts * experts) / ranks, allToAll(FLOAT * held, ranks, rates)] : [held, 0];
  const update = (changed * ADAMW) / rates.memory + gathered;
  return { compute, claims, gradients, hidden, update, total: compute + claims + gradients - hidden + update };
}

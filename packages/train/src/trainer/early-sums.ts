// Sums of gradients over ranks that begin while the backward pass goes on: as soon as neighbours among the parameters have theirs, these travel beside the
// rest of it. For devices whose memory is the host's. What is summed when all gradients are there is sums-over-ranks.ts.
import type { ParameterSpec } from '@xmoe/core';
import { BUCKET, createBackgroundSums, createBlocks, type BackgroundComm } from '@xmoe/distributed';
import { cutFlat, type FlatTensors } from './flat-tensors.js';
import { equalParts } from './host-sums.js';
import { createShardOrder, type ShardOrder } from './shard-order.js';

/** Numbers of a rank's part of what travels together, 512 kB: beside them a message costs little, and what is left when the pass ends is little. */
const PART = 2 ** 17;

export interface EarlySums {
  /** A new update: each rank will give a gradient of every parameter, the sum over its own micro-batches. */
  begin(): void;
  /** Takes a copy. */
  take(name: string, values: Float32Array): void;
  /** Waits until all sums are where they go. */
  finish(): Promise<void>;
}

export interface EarlySumsOptions {
  /** What every rank has, in the order of the model: gradients come the other way round. */
  readonly specs: readonly ParameterSpec[];
  readonly comm: BackgroundComm;
  /** Each rank gets the sums of its shards alone. */
  readonly isSharded: boolean;
  readonly write: (name: string, values: Float32Array) => void;
}

interface Bucket {
  readonly flat: FlatTensors;
  /** Where each rank gets its shards alone. */
  readonly order: ShardOrder | null;
  /** Where gradients go until all of the bucket are there. */
  values: Map<string, Float32Array>;
  whole: Float32Array;
  missing: number;
}

export function createEarlySums({ specs, comm, isSharded, write }: EarlySumsOptions): EarlySums {
  const most = Math.min(BUCKET, PART * comm.size);
  const blocks = createBlocks(most + comm.size); // parts of one length, the last of them rounded up
  const sums = createBackgroundSums(comm, { isWhole: !isSharded, blocks });
  const buckets = cutFlat(specs.toReversed(), most).map((flat): Bucket => (
    { flat, order: isSharded ? createShardOrder(flat.specs, comm.size) : null, values: new Map(), whole: new Float32Array(), missing: 0 }
  ));
  const bucketOf = new Map(buckets.flatMap((bucket) => bucket.flat.specs.map(({ name }) => [name, bucket])));
  let next = 0;

  const writeAll = (pieces: readonly (readonly [name: string, values: Float32Array])[]): void => {
    for (const [name, values] of pieces) write(name, values);
  };
  const send = ({ flat, order, whole }: Bucket): void => {
    if (order === null) {
      sums.begin(whole, equalParts(flat.length, comm.size), (sum) => {
        writeAll(flat.cut(sum));
        blocks.give(whole);
      });
      return;
    }
    const packed = order.pack(whole, blocks.take(flat.length));
    blocks.give(whole);
    sums.begin(packed, order.lengths, (own) => {
      writeAll(order.cut(comm.rank, own).map(({ name, values }) => [name, values]));
      blocks.give(packed);
    });
  };
  return {
    begin() {
      next = 0;
      for (const bucket of buckets) bucket.missing = bucket.flat.specs.length;
    },
    take(name, values) {
      const bucket = bucketOf.get(name)!;
      if (bucket.missing === bucket.flat.specs.length) {
        bucket.whole = blocks.take(bucket.flat.length);
        bucket.values = new Map(bucket.flat.cut(bucket.whole));
      }
      bucket.values.get(name)!.set(values);
      bucket.missing--;
      sums.poll();
      // In one order on all ranks, whichever is whole first.
      for (; buckets[next]?.missing === 0; next++) send(buckets[next]!);
    },
    finish: sums.finish,
  };
}

// The gradients of this rank's micro-batches and their sum: on the device, in segments that may be recorded, or round by round with the sums on the host.
// Those of other ranks are added by sums-over-ranks.ts.
import { collectTensors, type Parameters, type Segment } from '@xmoe/core';
import type { Span } from '@xmoe/distributed';
import type { EarlySums } from './early-sums.js';
import type { HandOver } from './hand-over.js';
import { createHostSums } from './host-sums.js';
import { roundsOf, spanOfGroup } from './micro-batch-share.js';
import { runMicroBatches } from './micro-batches.js';
import type { ShardOrder } from './shard-order.js';
import type { SharedUpdateOptions } from './shared-update.js';
import type { StateSums } from './state-sums.js';
import type { OwnSums } from './sums-over-ranks.js';
import { createBackward, signatureOf, type Backward, type Carried, type TakeGradient, type UpdateRequest, type UpdateResult } from './update.js';

type Parts<Trace> = UpdateResult<Trace>['parts'];

export interface OwnGradients<Host, Trace> extends Pick<Backward<Host, unknown, Trace>, 'prepare' | 'dispose'> {
  /** What tells updates apart whose segments differ. */
  signature(request: UpdateRequest<Host>): string;
  /**
   * What micro-batches leave goes into `parts`, the caller's to dispose also where this fails; what states move by into `states`. Called by all ranks.
   * The sums are to be asked for in the same order each time. `early` takes them over ranks while the last backward pass goes on; then none are asked for.
   */
  run(request: UpdateRequest<Host>, into: { parts: Parts<Trace>; states: StateSums; early: EarlySums | null }, segment: Segment): Promise<OwnSums>;
  /** Lets go of what an update holds. */
  drop(): void;
}

/** Micro-batches are segments. Where each rank has all experts. */
export function createGradientsOnDevice<Host, Device, Trace>(options: SharedUpdateOptions<Host, Device, Trace>, handOver: HandOver): OwnGradients<Host, Trace> {
  const { ranks, reduction, engine: { backend } } = options;
  const backward = createBackward(options);
  const spanOf = ({ batches }: UpdateRequest<Host>): Span => spanOfGroup(ranks.data, batches.length, reduction);
  const end = ({ gradients, sums }: Carried): Parameters | null => (handOver.take(gradients), sums);
  return {
    prepare: backward.prepare,
    signature(request) {
      const { begin, end: last } = spanOf(request);
      return signatureOf(options, request, request.batches.slice(begin, last));
    },
    async run(request, { parts, states, early }, segment) {
      const span = spanOf(request);
      if (span.begin === span.end) return { dense: async ({ length }) => new Float32Array(length) };
      early?.begin();
      const whole: TakeGradient | undefined = early ? (name, gradient) => {
        const values = backend.hostView!(gradient);
        backend.between!(() => early.take(name, values));
      } : undefined;
      await states.add(runMicroBatches(segment, backward, { request, span, byHalves: reduction !== 'fast', parts, whole, end: whole ? ({ sums }) => sums : end }));
      return { dense: async (of) => of.read(handOver.give(of, segment)) };
    },
    drop: handOver.drop,
    dispose() {
      backward.dispose();
      handOver.dispose();
    },
  };
}

/** Without segments: in each round a micro-batch of every rank of the group, whose experts are computed together. @param order see `createHostSums` */
export function createGradientsInRounds<Host, Device, Trace>(options: SharedUpdateOptions<Host, Device, Trace>, order: ShardOrder | undefined): OwnGradients<Host, Trace> {
  const { engine, ranks, reduction } = options;
  const gradients = createHostSums(options.specs, ranks, reduction, order);
  const backward = createBackward({ ...options, ...(gradients.takeGradient ? { takeGradient: gradients.takeGradient } : {}) });
  /** Of micro-batch `index`, all kept: what is carried on, and the rest. Sums for states are added by `StateSums`, not onto those before. */
  const backwardOf = (request: UpdateRequest<Host>, index: number, before?: Partial<Carried>): { part: Parts<Trace>[number]; carried: Carried } => {
    const device = backward.upload(request, index);
    return engine.scope(() => {
      const made = backward.run(device, request, before);
      for (const tensor of collectTensors(made)) tensor.keep();
      return made;
    });
  };
  return {
    prepare: backward.prepare,
    dispose: backward.dispose,
    signature: () => '',
    drop: () => undefined,
    async run(request, { parts, states }) {
      gradients.begin(request.batches.length);
      let carried: Partial<Carried> | undefined;
      for (const { own, terms } of roundsOf(ranks, request.batches.length, reduction)) {
        // A rank without a micro-batch of its own computes the round's last once more, for its experts have work.
        const isIdle = own === null;
        gradients.beginRound(terms);
        const { part, carried: now } = backwardOf(request, own ?? terms.end - 1, isIdle ? undefined : carried);
        if (isIdle) {
          for (const tensor of collectTensors([part, now])) tensor.dispose();
          await gradients.endRound(null);
          continue;
        }
        parts.push(part);
        await states.add(now.sums);
        carried = reduction === 'fast' ? { gradients: now.gradients } : undefined;
        await gradients.endRound(reduction === 'fast' ? null : now.gradients);
      }
      await gradients.endOwn(carried?.gradients ?? null);
      return gradients;
    },
  };
}

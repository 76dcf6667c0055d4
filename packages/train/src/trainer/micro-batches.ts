// The forward and backward passes of micro-batches one after another, each a segment that a backend may record. Whose micro-batches they are, and
// what becomes of the sums, is the caller's (update.ts, own-gradients.ts).
import { add, collectTensors, type Segment, type Tensor } from '@xmoe/core';
import { createSumByHalves, type RunningSum, type Span } from '@xmoe/distributed';
import type { Backward, Carried, TakeGradient, UpdateRequest, UpdateResult } from './update.js';

export interface MicroBatches<Host, Trace, End> {
  readonly request: Pick<UpdateRequest<Host>, 'batches' | 'step' | 'collectRouting'>;
  /** Which of the batches. */
  readonly span: Span;
  /** Gradients are added by halves of `span`. Default false: each to the sum of those before. */
  readonly byHalves?: boolean;
  /** Takes what each leaves, the caller's to dispose also where this fails. */
  readonly parts: UpdateResult<Trace>['parts'];
  /** Takes each sum of gradients while the last backward pass goes on, and `end` then none. The tensor is not its to dispose. */
  readonly whole?: TakeGradient | undefined;
  /** Takes the sums over all of them, on the device and within the last segment. */
  readonly end: (sums: Carried) => End;
}

/** Both are taken over. */
function addUp(left: Tensor, right: Tensor): Tensor {
  const sum = add(left, right);
  left.dispose();
  right.dispose();
  return sum;
}

/** Sums of gradients by halves of `span`, name by name. */
function createHalves(span: Span) {
  const sums = new Map<string, RunningSum<Tensor>>();
  return {
    /** The gradient of the next micro-batch, taken over. Returns the sum so far. */
    add(name: string, gradient: Tensor): Tensor {
      const sum = sums.get(name) ?? createSumByHalves<Tensor>(span, addUp);
      sums.set(name, sum);
      sum.add(gradient);
      return sum.result()!;
    },
    held: (): Tensor[] => [...sums.values()].flatMap(({ held }) => held),
  };
}

/**
 * Runs the micro-batches of a span that is not empty, and returns what `end` made, the caller's to dispose. The sums of gradients, and of what states
 * move by, go from one to the next beside the results of segments: a recording would hold those of every micro-batch as long as it lives.
 */
export function runMicroBatches<Host, Device, Trace, End>(
  segment: Segment, backward: Backward<Host, Device, Trace>, { request, span, byHalves = false, parts, whole, end }: MicroBatches<Host, Trace, End>,
): End {
  const halves = byHalves ? createHalves(span) : null;
  let carried: Partial<Carried> | undefined;
  let ended: End | undefined;
  try {
    for (let index = span.begin; index < span.end; index++) {
      const device = backward.upload(request, index);
      const isLast = index === span.end - 1;
      const done = segment(() => {
        const early = isLast && whole ? (halves ? (name: string, gradient: Tensor) => handOut(whole, name, halves.add(name, gradient.engine.retain(gradient))) : whole) : undefined;
        const { part, carried: { gradients, sums } } = backward.run(device, request, carried, early);
        carried = undefined;
        const added = early ? {} : halves ? mapGradients(gradients, halves.add) : gradients;
        if (isLast) return { part, ended: end({ gradients: added, sums }) };
        carried = halves ? { sums } : { gradients, sums };
        for (const tensor of collectTensors([carried, halves?.held()])) tensor.keep();
        return { part, ended: undefined };
      });
      parts.push(done.part);
      ended = done.ended;
    }
    return ended as End;
  } finally {
    for (const tensor of collectTensors([carried, halves?.held()])) tensor.dispose();
  }
}

function handOut(whole: TakeGradient, name: string, sum: Tensor): void {
  whole(name, sum);
  sum.dispose();
}

const mapGradients = (gradients: Carried['gradients'], fn: (name: string, gradient: Tensor) => Tensor): Carried['gradients'] => (
  Object.fromEntries(Object.entries(gradients).map(([name, gradient]) => [name, fn(name, gradient)]))
);

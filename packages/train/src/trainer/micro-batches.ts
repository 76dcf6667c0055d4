// The forward and backward passes of micro-batches one after another, each a segment that a backend may record. Whose micro-batches they are, and
// what becomes of the sums, is the caller's (update.ts, shared-update.ts).
import { add, collectTensors, type Segment, type Tensor } from '@xmoe/core';
import { createSumByHalves, type Span } from '@xmoe/distributed';
import type { Backward, Carried, UpdateRequest, UpdateResult } from './update.js';

type Gradients = Readonly<Record<string, Tensor>>;

export interface MicroBatches<Host, Trace, End> {
  readonly request: Pick<UpdateRequest<Host>, 'batches' | 'step' | 'collectRouting'>;
  /** Which of the batches. */
  readonly span: Span;
  /** Gradients are added by halves of `span`. Default false: each to the sum of those before. */
  readonly byHalves?: boolean;
  /** Takes what each leaves, the caller's to dispose also where this fails. */
  readonly parts: UpdateResult<Trace>['parts'];
  /** Takes the sums over all of them, on the device and within the last segment. */
  readonly end: (sums: Carried) => End;
}

/** Both are taken over. */
function addGradients(left: Gradients, right: Gradients): Gradients {
  return Object.fromEntries(Object.entries(left).map(([name, tensor]) => {
    const sum = add(tensor, right[name]!);
    tensor.dispose();
    right[name]!.dispose();
    return [name, sum];
  }));
}

/**
 * Runs the micro-batches of a span that is not empty, and returns what `end` made, the caller's to dispose. The sums of gradients, and of what states
 * move by, go from one to the next beside the results of segments: a recording would hold those of every micro-batch as long as it lives.
 */
export function runMicroBatches<Host, Device, Trace, End>(
  segment: Segment, backward: Backward<Host, Device, Trace>, { request, span, byHalves = false, parts, end }: MicroBatches<Host, Trace, End>,
): End {
  const halves = byHalves ? createSumByHalves(span, addGradients) : null;
  let carried: Partial<Carried> | undefined;
  let ended: End | undefined;
  try {
    for (let index = span.begin; index < span.end; index++) {
      const device = backward.upload(request, index);
      const done = segment(() => {
        const { part, carried: { gradients, sums } } = backward.run(device, request, carried);
        carried = undefined;
        halves?.add(gradients);
        if (index === span.end - 1) return { part, ended: end({ gradients: halves?.result() ?? gradients, sums }) };
        carried = halves ? { sums } : { gradients, sums };
        for (const tensor of collectTensors([carried, halves?.held])) tensor.keep();
        return { part, ended: undefined };
      });
      parts.push(done.part);
      ended = done.ended;
    }
    return ended as End;
  } finally {
    for (const tensor of collectTensors([carried, halves?.held])) tensor.dispose();
  }
}

// One optimiser update on the device: forward and backward of each micro-batch, the sum of their gradients, AdamW. Reads
// nothing back; the numbers and the counters are trainer.ts.
import {
  collectTensors, createReplay, foldIn, randomKey, valueAndGrad,
  type Engine, type FloatDType, type ForwardContext, type Parameters, type RandomKey, type Segment, type Tensor,
} from '@xmoe/core';
import type { AdamW, LayerTrace } from '@xmoe/nn';

/** What a loss function returns; the models of @xmoe/nn do. */
export interface LossParts<Trace> {
  loss: Tensor;
  crossEntropy: Tensor;
  auxLoss: Tensor | null;
  traces: LayerTrace<Trace>[];
}

/** The model and its data, as the trainer sees them. */
export interface LossFunction<Host, Device, Trace> {
  /**
   * Puts a micro-batch on the device, in tensors that live as long as the trainer: the same ones for all batches of one
   * `shapeOf`, since a step may be recorded and run again on their new contents.
   */
  upload(batch: Host): Device;
  /** What tells batches apart whose device work differs. Default: all are of one shape. */
  shapeOf?(batch: Host): string;
  loss(parameters: Parameters, batch: Device, context: ForwardContext, options: { normalizer: Tensor; auxScale: number }): LossParts<Trace>;
}

export interface UpdateOptions<Host, Device, Trace> extends LossFunction<Host, Device, Trace> {
  readonly engine: Engine;
  readonly parameters: Parameters;
  readonly optimizer: AdamW;
  readonly seed: number;
  readonly computeDType: FloatDType;
}

export interface UpdateRequest<Host> {
  batches: readonly Host[];
  /** 0-based; the random keys follow from it. */
  step: number;
  /** Targets of all micro-batches: what the summed losses are divided by. */
  targets: number;
  /** 1-based number among the updates that were applied. */
  adamStep: number;
  learningRate: number;
  lossScale: number;
  collectRouting: boolean;
}

export interface UpdateResult<Trace> {
  /** By micro-batch; their sums are those of the update. */
  parts: LossParts<Trace>[];
  /** Global gradient norm before clipping: float32 []. */
  norm: Tensor;
  /** Micro-batches of these shapes came for the first time: the next update of the kind may be recorded. */
  warmUp: boolean;
}

export interface Update<Host, Trace> {
  /** Changes the parameters in place. What it returns is the caller's to dispose. */
  run(request: UpdateRequest<Host>): UpdateResult<Trace>;
  dispose(): void;
}

/** What one micro-batch leaves beside the sums of gradients; the last one also the norm of all. */
interface Segmented<Trace> {
  part: LossParts<Trace>;
  norm: Tensor | null;
}

export function createUpdate<Host, Device, Trace>(options: UpdateOptions<Host, Device, Trace>): Update<Host, Trace> {
  const { engine, optimizer } = options;
  // Rewritten each step, never replaced: a recorded step stays valid.
  const key = engine.key([0, 0]).keep();
  const normalizer = engine.zeros([]).keep();
  const lossSeed = engine.ones([]).keep();
  const replay = createReplay(engine);

  const accumulate = createAccumulation(options, { key, normalizer, lossSeed });

  return {
    run(request) {
      const { batches, targets, adamStep, learningRate, lossScale, collectRouting } = request;
      normalizer.write([Math.max(1, targets)]);
      lossSeed.write([lossScale]);
      optimizer.prepare({ learningRate, step: adamStep, lossScale });
      const signature = `${collectRouting} ${batches.map((batch) => options.shapeOf?.(batch) ?? '').join()}`;
      const warmUp = replay.status(signature) === 'new';
      return engine.scope(() => replay.run(signature, (segment) => ({ ...accumulate(segment, request), warmUp })));
    },
    dispose() {
      replay.dispose();
      for (const tensor of [key, normalizer, lossSeed]) tensor.dispose();
    },
  };
}

/** Rewritten for each update, or each micro-batch. */
interface StepTensors {
  readonly key: Tensor;
  readonly normalizer: Tensor;
  readonly lossSeed: Tensor;
}

/**
 * Forward and backward of all micro-batches, each a segment. The sums of gradients go from one to the next beside the results
 * of segments: a recording would hold those of every micro-batch as long as it lives.
 */
function createAccumulation<Host, Device, Trace>(
  options: UpdateOptions<Host, Device, Trace>, { key, normalizer, lossSeed }: StepTensors,
): (segment: Segment, request: UpdateRequest<Host>) => Omit<UpdateResult<Trace>, 'warmUp'> {
  const { engine, parameters, optimizer } = options;
  const baseKey: RandomKey = foldIn(randomKey(options.seed), 'step');
  const differentiate = (device: Device, microBatches: number, collectRouting: boolean, onto: Record<string, Tensor> | undefined) => {
    const context: ForwardContext = {
      training: true, key, computeDType: options.computeDType, tokenIds: null, mask: null, collect: collectRouting ? 'statistics' : 'nothing',
    };
    const lossOf = (weights: Record<string, Tensor>) => {
      const { loss, ...aux } = options.loss(weights, device, context, { normalizer, auxScale: 1 / microBatches });
      return { loss, aux };
    };
    return valueAndGrad(engine, lossOf, parameters as Record<string, Tensor>, { seed: lossSeed, ...(onto ? { onto } : {}) });
  };

  return (segment, { batches, step, collectRouting }) => {
    const parts: LossParts<Trace>[] = [];
    let sums: Record<string, Tensor> | undefined;
    let norm: Tensor | null = null;
    try {
      batches.forEach((batch, index) => {
        key.write(foldIn(foldIn(baseKey, step), index));
        const device = options.upload(batch);
        const done = segment((): Segmented<Trace> => {
          const { loss, aux, gradients } = differentiate(device, batches.length, collectRouting, sums);
          sums = undefined; // taken over
          const part = { loss, ...aux };
          if (index === batches.length - 1) return { part, norm: optimizer.apply(parameters, gradients) };
          sums = gradients;
          for (const sum of Object.values(sums)) sum.keep();
          return { part, norm: null };
        });
        parts.push(done.part);
        norm = done.norm;
      });
      return { parts, norm: norm! };
    } finally {
      for (const tensor of collectTensors(sums)) tensor.dispose();
    }
  };
}

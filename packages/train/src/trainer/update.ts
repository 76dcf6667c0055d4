// One optimiser update on the device: forward and backward of each micro-batch, the sum of their gradients, AdamW, the step of states. Reads
// nothing back; the numbers and the counters are trainer.ts.
import {
  addSums, collectTensors, createReplay, foldIn, isTrained, parameter, randomKey, valueAndGrad,
  type Engine, type FloatDType, type ForwardContext, type LayerState, type ParameterSpec, type Parameters, type RandomKey, type Tensor,
} from '@xmoe/core';
import type { AdamW, LayerTrace } from '@xmoe/nn';
import { runMicroBatches } from './micro-batches.js';
import { updateStates } from './update-states.js';

/** What a loss function returns; the models of @xmoe/nn do. */
export interface LossParts<Trace> {
  loss: Tensor;
  crossEntropy: Tensor;
  auxLoss: Tensor | null;
  traces: LayerTrace<Trace>[];
  /** What states move by, to be added over the micro-batches. Absent or null: nothing. */
  sums?: Parameters | null;
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
  /** Of all specs: what is trained and what is not. */
  readonly specs: readonly ParameterSpec[];
  readonly parameters: Parameters;
  readonly states?: readonly LayerState[];
  readonly optimizer: AdamW;
  readonly seed: number;
  readonly computeDType: FloatDType;
  /** Takes gradients of what is spread over ranks. */
  readonly takeGradient?: ForwardContext['takeGradient'];
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
  parts: Omit<LossParts<Trace>, 'sums'>[];
  /** Of the parts of all ranks, by rank, the number of the micro-batch in the update. Absent: as they come. */
  order?: readonly number[];
  /** Global gradient norm before clipping: float32 []. */
  norm: Tensor;
  /** Micro-batches of these shapes came for the first time: the next update of the kind may be recorded. */
  warmUp: boolean;
}

export interface Update<Host, Trace> {
  /** Changes the parameters in place. What it returns is the caller's to dispose. */
  run(request: UpdateRequest<Host>): UpdateResult<Trace> | Promise<UpdateResult<Trace>>;
  dispose(): void;
}

export function createUpdate<Host, Device, Trace>(options: UpdateOptions<Host, Device, Trace>): Update<Host, Trace> {
  const { engine, optimizer } = options;
  const backward = createBackward(options);
  const replay = createReplay(engine);

  return {
    run(request) {
      const { batches, adamStep, learningRate, lossScale } = request;
      backward.prepare(request);
      optimizer.prepare({ learningRate, step: adamStep, lossScale });
      const signature = signatureOf(options, request);
      const warmUp = replay.status(signature) === 'new';
      const parts: UpdateResult<Trace>['parts'] = [];
      const end = (sums: Carried): Tensor => finishUpdate(options, sums);
      return engine.scope(() => replay.run(signature, (segment) => (
        { norm: runMicroBatches(segment, backward, { request, span: { begin: 0, end: batches.length }, parts, end }), parts, warmUp }
      )));
    },
    dispose() {
      replay.dispose();
      backward.dispose();
    },
  };
}

/** What tells updates apart whose device work differs, where a process computes `own` of the batches; default: all. */
export function signatureOf<Host>({ shapeOf }: Pick<LossFunction<Host, unknown, unknown>, 'shapeOf'>, { batches, collectRouting }: Pick<UpdateRequest<Host>, 'batches' | 'collectRouting'>, own: readonly Host[] = batches): string {
  return `${collectRouting} ${batches.length} ${own.map((batch) => shapeOf?.(batch) ?? '').join()}`;
}

/** Whether the tape has the gradient: that of a part comes from other ranks' micro-batches too. */
export const hasOwnGradient = (spec: ParameterSpec): boolean => isTrained(spec) && spec.part === undefined;

/** The forward and backward pass of one micro-batch of an update. */
export interface Backward<Host, Device, Trace> {
  /** Writes what all micro-batches of an update share. */
  prepare(request: Pick<UpdateRequest<Host>, 'targets' | 'lossScale'>): void;
  /** Puts micro-batch `index` of the whole update on the device, and its random key. */
  upload(request: Pick<UpdateRequest<Host>, 'batches' | 'step'>, index: number): Device;
  /**
   * What an uploaded micro-batch leaves, its gradients and what states move by added to `before`, whose gradients are taken over. In a scope. `whole` gets each
   * gradient as soon as it is made, which is not its to dispose.
   */
  run(device: Device, request: Pick<UpdateRequest<Host>, 'batches' | 'collectRouting'>, before?: Partial<Carried>, whole?: TakeGradient): { part: UpdateResult<Trace>['parts'][number]; carried: Carried };
  dispose(): void;
}

export type TakeGradient = (name: string, gradient: Tensor) => void;

/** What goes from one micro-batch to the next. */
export interface Carried {
  readonly gradients: Record<string, Tensor>;
  /** What states move by. */
  readonly sums: Parameters | null;
}

export function createBackward<Host, Device, Trace>(options: UpdateOptions<Host, Device, Trace>): Backward<Host, Device, Trace> {
  const { engine, parameters, specs } = options;
  const baseKey: RandomKey = foldIn(randomKey(options.seed), 'step');
  const named = (wanted: readonly ParameterSpec[]) => Object.fromEntries(wanted.map(({ name }) => [name, parameter(parameters, name)]));
  const trained = named(specs.filter(hasOwnGradient));
  const names = Object.keys(trained);
  const others = named(specs.filter((spec) => !hasOwnGradient(spec)));
  // Rewritten for each update or micro-batch, never replaced: a recorded step stays valid.
  const key = engine.key([0, 0]).keep();
  const normalizer = engine.zeros([]).keep();
  const lossSeed = engine.ones([]).keep();
  return {
    prepare({ targets, lossScale }) {
      normalizer.write([Math.max(1, targets)]);
      lossSeed.write([lossScale]);
    },
    upload({ batches, step }, index) {
      key.write(foldIn(foldIn(baseKey, step), index));
      return options.upload(batches[index]!);
    },
    run(device, { batches, collectRouting }, before, whole) {
      const context: ForwardContext = {
        training: true, key, computeDType: options.computeDType, tokenIds: null, mask: null, collect: collectRouting ? 'statistics' : 'nothing',
        ...(options.takeGradient ? { takeGradient: options.takeGradient } : {}),
      };
      const lossOf = (weights: Record<string, Tensor>) => {
        const { loss, ...aux } = options.loss({ ...others, ...weights }, device, context, { normalizer, auxScale: 1 / batches.length });
        return { loss, aux };
      };
      const { loss, aux: { sums: own, ...rest }, gradients } = valueAndGrad(engine, lossOf, trained, {
        seed: lossSeed,
        ...(before?.gradients ? { onto: before.gradients } : {}),
        ...(whole ? { whenWhole: (index: number, gradient: Tensor) => whole(names[index]!, gradient) } : {}),
      });
      const sums = addSums(before?.sums, own);
      for (const tensor of collectTensors(before?.sums)) tensor.dispose();
      return { part: { loss, ...rest }, carried: { gradients, sums } };
    },
    dispose() {
      for (const tensor of [key, normalizer, lossSeed]) tensor.dispose();
    },
  };
}

/** The end of an update, from the sums over all of its micro-batches: weights, then states. Returns the gradient norm; see `AdamW.apply` for one that is given. `own`: what is changed of the parameters. */
export function finishUpdate<Host, Device, Trace>({ optimizer, parameters, states = [] }: UpdateOptions<Host, Device, Trace>, { gradients, sums }: Carried, given: { norm?: Tensor | undefined; own?: Parameters } = {}): Tensor {
  const norm = optimizer.apply(given.own ?? parameters, gradients, given.norm);
  if (sums) updateStates(states, parameters, sums, norm);
  return norm;
}

// One optimiser update after another: accumulation, loss scaling, clipping, and the state that a resumed run needs.
// Not the loop around it (run-training.ts), and not a model: the loss is a function that the program passes in.
import {
  add, collectTensors, foldIn, randomKey, valueAndGrad,
  type Engine, type FloatDType, type ForwardContext, type ParameterSpec, type Parameters, type RandomKey, type Tensor,
} from '@xmoe/core';
import {
  createAdamW, DEFAULT_LOSS_SCALE, learningRateAt, nextLossScale,
  type AdamWConfig, type LayerTrace, type LossScaleState, type ScheduleConfig,
} from '@xmoe/nn';
import { assertTensors, type ExpectedTensor, type StoredTensor } from '../checkpoint/index.js';

/** What a loss function returns; the models of @xmoe/nn do. */
export interface LossParts<Trace> {
  loss: Tensor;
  crossEntropy: Tensor;
  auxLoss: Tensor | null;
  traces: LayerTrace<Trace>[];
}

/** Routing of one mixture-of-experts layer in one step, as numbers. */
export interface LayerRouting {
  /** Claims per unmasked token, before and after capacity. */
  expertsPerToken: number;
  keptPerToken: number;
  /** Dropped claims / wanted claims. */
  dropRate: number;
  /** Share of the kept claims by expert. */
  load: readonly number[];
  /** FLOPs of this layer's forward and backward pass: planned by capacity (γ·T·O(E)), and really executed. */
  budgetedFlops: number;
  executedFlops: number;
}

export interface TrainerOptions<Host, Device, Trace> {
  engine: Engine;
  specs: readonly ParameterSpec[];
  /** Float32 master weights, updated in place. */
  parameters: Parameters;
  optimizer: AdamWConfig;
  schedule: ScheduleConfig;
  seed: number;
  computeDType: FloatDType;
  /** Puts a micro-batch on the device, in tensors that live as long as the trainer. */
  upload(batch: Host): Device;
  /** Number of targets in a micro-batch. */
  countTargets(batch: Host): number;
  loss(parameters: Parameters, batch: Device, context: ForwardContext, options: { normalizer: Tensor; auxScale: number }): LossParts<Trace>;
  /** Reads a layer's trace. */
  summarizeTrace(trace: Trace): Promise<LayerRouting>;
}

export interface StepReport {
  /** Updates done, this one included. */
  step: number;
  /** Cross-entropy + auxiliary loss, and its parts, in nats per target. */
  loss: number;
  crossEntropy: number;
  auxLoss: number;
  learningRate: number;
  /** Global norm before clipping. */
  gradientNorm: number;
  /** The update was skipped because the norm was not finite. */
  skipped: boolean;
  lossScale: number;
  targets: number;
  /** Routing by layer, when asked for: sums over the micro-batches. */
  routing: { layer: string; summary: LayerRouting }[] | null;
}

/** The part of a checkpoint's state that belongs to the trainer. Plain JSON. */
export interface TrainerState {
  step: number;
  targetsSeen: number;
  lossScale: LossScaleState;
}

export interface Trainer<Host> {
  readonly state: TrainerState;
  /** One update from the micro-batches of it. */
  step(batches: readonly Host[], options: { collectRouting: boolean }): Promise<StepReport>;
  /** Tensors by checkpoint group: `parameters` and `optimizer`. */
  tensors(): Promise<Record<'parameters' | 'optimizer', StoredTensor[]>>;
  /** Puts a loaded checkpoint back. Every tensor must be there in its shape. */
  restore(state: TrainerState, tensors: Readonly<Record<string, readonly StoredTensor[]>>, where: string): void;
  dispose(): void;
}

export function createTrainer<Host, Device, Trace>(options: TrainerOptions<Host, Device, Trace>): Trainer<Host> {
  const { engine, specs, parameters } = options;
  const optimizer = createAdamW(engine, specs, options.optimizer);
  // Rewritten each step, never replaced.
  const key = engine.key([0, 0]).keep();
  const normalizer = engine.zeros([]).keep();
  const seedTensor = engine.ones([]).keep();
  const half = options.computeDType === 'float16';
  const baseKey: RandomKey = foldIn(randomKey(options.seed), 'step');
  let state: TrainerState = { step: 0, targetsSeen: 0, lossScale: { scale: half ? DEFAULT_LOSS_SCALE.initial : 1, goodSteps: 0 } };

  /** Forward and backward of all micro-batches, then the update. Everything it returns is still on the device. */
  function run(batches: readonly Host[], collectRouting: boolean, learningRate: number): { parts: LossParts<Trace>[]; norm: Tensor } {
    const step = state.step;
    return engine.scope(() => {
      const parts: LossParts<Trace>[] = [];
      let gradients: Record<string, Tensor> | null = null;
      batches.forEach((batch, index) => {
        key.write(foldIn(foldIn(baseKey, step), index));
        const device = options.upload(batch);
        const context: ForwardContext = {
          training: true, key, computeDType: options.computeDType, tokenIds: null, mask: null, collect: collectRouting ? 'statistics' : 'nothing',
        };
        const result = valueAndGrad(
          engine,
          (weights: Record<string, Tensor>) => {
            const { loss, ...aux } = options.loss(weights, device, context, { normalizer, auxScale: 1 / batches.length });
            return { loss, aux };
          },
          parameters as Record<string, Tensor>,
          { seed: seedTensor },
        );
        parts.push({ loss: result.loss, ...result.aux });
        gradients = gradients ? accumulate(gradients, result.gradients) : result.gradients;
      });
      const norm = optimizer.step(parameters, gradients!, { learningRate, step: step + 1, lossScale: state.lossScale.scale });
      return { parts, norm };
    });
  }

  async function report(parts: readonly LossParts<Trace>[], norm: Tensor, targets: number, learningRate: number, collectRouting: boolean): Promise<StepReport> {
    let [loss, crossEntropy, auxLoss] = [0, 0, 0];
    for (const part of parts) {
      loss += await part.loss.item();
      crossEntropy += await part.crossEntropy.item();
      auxLoss += part.auxLoss ? await part.auxLoss.item() : 0;
    }
    const gradientNorm = await norm.item();
    const routing = collectRouting ? await summarize(parts, options.summarizeTrace) : null;
    const { scale } = state.lossScale;
    return { step: state.step + 1, loss, crossEntropy, auxLoss, learningRate, gradientNorm, skipped: !Number.isFinite(gradientNorm), lossScale: scale, targets, routing };
  }

  return {
    get state() {
      return state;
    },
    async step(batches, { collectRouting }) {
      const targets = batches.reduce((sum, batch) => sum + options.countTargets(batch), 0);
      normalizer.write([targets]);
      seedTensor.write([state.lossScale.scale]);
      const learningRate = learningRateAt(options.schedule, state.step);
      const { parts, norm } = run(batches, collectRouting, learningRate);
      try {
        const result = await report(parts, norm, targets, learningRate, collectRouting);
        state = {
          step: result.step,
          targetsSeen: state.targetsSeen + targets,
          lossScale: half ? nextLossScale(state.lossScale, !result.skipped) : state.lossScale,
        };
        return result;
      } finally {
        for (const tensor of collectTensors([parts, norm])) tensor.dispose();
      }
    },
    async tensors() {
      const download = async (source: Parameters, prefix: string): Promise<StoredTensor[]> => {
        const out: StoredTensor[] = [];
        for (const spec of specs) {
          const data = await source[spec.name]!.data();
          out.push({ name: prefix + spec.name, dtype: 'float32', shape: spec.shape, data: Float32Array.from(data) });
        }
        return out;
      };
      return {
        parameters: await download(parameters, ''),
        optimizer: [...(await download(optimizer.firstMoments, 'm.')), ...(await download(optimizer.secondMoments, 'v.'))],
      };
    },
    restore(saved, tensors, where) {
      const moments = tensors.optimizer ?? [];
      assertTensors([...expectedOf(specs, 'm.'), ...expectedOf(specs, 'v.')], moments, { where: `${where} (optimizer)` });
      loadParameters(parameters, specs, tensors.parameters ?? [], where);
      writeAll(optimizer.firstMoments, 'm.', moments);
      writeAll(optimizer.secondMoments, 'v.', moments);
      state = structuredClone(saved);
    },
    dispose() {
      optimizer.dispose();
      for (const tensor of [key, normalizer, seedTensor]) tensor.dispose();
    },
  };
}

/** Σ of the gradients of two micro-batches; frees both. */
function accumulate(sum: Record<string, Tensor>, fresh: Record<string, Tensor>): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(sum).map(([name, total]) => {
      const next = add(total, fresh[name]!);
      total.dispose();
      fresh[name]!.dispose();
      return [name, next];
    }),
  );
}

/** Expected checkpoint entries of `specs`, all float32. */
function expectedOf(specs: readonly ParameterSpec[], prefix = ''): ExpectedTensor[] {
  return specs.map((spec) => ({ name: prefix + spec.name, shape: spec.shape, dtype: 'float32' }));
}

/** Writes the parameters of a checkpoint into tensors, after checking that each is there. `where` names it in errors. */
export function loadParameters(parameters: Parameters, specs: readonly ParameterSpec[], stored: readonly StoredTensor[], where: string): void {
  assertTensors(expectedOf(specs), stored, { where });
  writeAll(parameters, '', stored);
}

/** Writes each stored tensor whose name starts with `prefix` into the tensor of the rest of its name. */
function writeAll(target: Parameters, prefix: string, stored: readonly StoredTensor[]): void {
  for (const { name, data } of stored) {
    if (name.startsWith(prefix)) target[name.slice(prefix.length)]!.write(data);
  }
}

/** Routing by layer; the mean over the micro-batches, sums for FLOPs. */
async function summarize<Trace>(
  parts: readonly { traces: LayerTrace<Trace>[] }[],
  summarizeTrace: (trace: Trace) => Promise<LayerRouting>,
): Promise<{ layer: string; summary: LayerRouting }[]> {
  const byLayer = new Map<string, LayerRouting[]>();
  for (const { traces } of parts) {
    for (const { layer, trace } of traces) byLayer.set(layer, [...(byLayer.get(layer) ?? []), await summarizeTrace(trace)]);
  }
  return [...byLayer].map(([layer, all]) => ({ layer, summary: mergeRouting(all) }));
}

/** The mean of rates and loads and the sum of FLOPs of several batches through one layer. */
export function mergeRouting(all: readonly LayerRouting[]): LayerRouting {
  const total = (pick: (routing: LayerRouting) => number): number => all.reduce((sum, routing) => sum + pick(routing), 0);
  const average = (pick: (routing: LayerRouting) => number): number => total(pick) / all.length;
  return {
    expertsPerToken: average((routing) => routing.expertsPerToken),
    keptPerToken: average((routing) => routing.keptPerToken),
    dropRate: average((routing) => routing.dropRate),
    load: all[0]!.load.map((_, expert) => average((routing) => routing.load[expert]!)),
    budgetedFlops: total((routing) => routing.budgetedFlops),
    executedFlops: total((routing) => routing.executedFlops),
  };
}

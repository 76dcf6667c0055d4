// What a checkpoint holds of a trainer, apart from the tensors' format: its counters, and its tensors by group.
import { isTrained, sizeOf, wholeOf, type ParameterSpec, type Parameters, type Tensor } from '@xmoe/core';
import type { Comm, RankGroups } from '@xmoe/distributed';
import { DEFAULT_LOSS_SCALE, nextLossScale, type AdamW } from '@xmoe/nn';
import { z } from 'zod';
import { assertTensors, type ExpectedTensor } from '../checkpoint/assert-tensors.js';
import type { StoredTensor } from '../checkpoint/tensor-format.js';
import { gatherEntries } from './gather-entries.js';

const count = z.int().nonnegative();

export const trainerStateSchema = z.object({
  /** Updates done, skipped ones included: the schedule and the random keys go by it. */
  step: count,
  targetsSeen: count,
  /** Updates whose gradient was not finite, which changed nothing: Adam's bias correction does not count them. */
  skippedUpdates: count,
  /** How many of the last updates were skipped without a good one in between. */
  skippedInARow: count,
  lossScale: z.object({ scale: z.number().positive(), goodSteps: count }),
});

/** The part of a checkpoint's state that belongs to the trainer. Plain JSON. */
export type TrainerState = z.output<typeof trainerStateSchema>;

export function initialTrainerState(half: boolean): TrainerState {
  return { step: 0, targetsSeen: 0, skippedUpdates: 0, skippedInARow: 0, lossScale: { scale: half ? DEFAULT_LOSS_SCALE.initial : 1, goodSteps: 0 } };
}

/** The state after one more update. The loss scale moves in half precision only. */
export function nextTrainerState(state: TrainerState, update: { targets: number; skipped: boolean; half: boolean }): TrainerState {
  const { targets, skipped, half } = update;
  return {
    step: state.step + 1,
    targetsSeen: state.targetsSeen + targets,
    skippedUpdates: state.skippedUpdates + Number(skipped),
    skippedInARow: skipped ? state.skippedInARow + 1 : 0,
    lossScale: half ? nextLossScale(state.lossScale, !skipped) : state.lossScale,
  };
}

export type TrainerTensors = Record<'parameters' | 'optimizer', StoredTensor[]>;

/** Where the tensors of a trainer are. */
export interface TrainerPlaces {
  readonly specs: readonly ParameterSpec[];
  readonly parameters: Parameters;
  readonly optimizer: AdamW;
  /** What of the trained parameters the optimiser keeps moments of on this rank. */
  readonly shards: readonly ParameterSpec[];
  readonly ranks: RankGroups;
  /** The moments of what several ranks hold are spread over them. */
  readonly isSharded: boolean;
}

/**
 * Downloads the parameters, states among them, and the moments of those that are trained, the latter under `m.` and `v.`. Of what ranks hold in parts,
 * whole tensors: they call this together.
 */
export async function readTrainerTensors({ specs, parameters, optimizer, shards, ranks, isSharded }: TrainerPlaces): Promise<TrainerTensors> {
  const read = async (name: string, whole: ParameterSpec['shape'], tensor: Tensor | undefined, spec: ParameterSpec, comm: Comm): Promise<StoredTensor> => {
    const data = tensor ? await tensor.data() : [];
    const own = data instanceof Float32Array ? data : new Float32Array(data);
    return { name, dtype: 'float32', shape: whole, data: spec.part ? await gatherEntries(comm, name, own, spec.part, sizeOf(whole.slice(1))) : own };
  };
  const held = new Map(shards.map((spec) => [spec.name, spec]));
  const out: TrainerTensors = { parameters: [], optimizer: [] };
  for (const spec of specs) out.parameters.push(await read(spec.name, wholeOf(spec).shape, parameters[spec.name], spec, ranks.experts));
  for (const [prefix, moments] of [['m.', optimizer.firstMoments], ['v.', optimizer.secondMoments]] as const) {
    for (const spec of specs.filter(isTrained)) {
      const whole = wholeOf(spec).shape;
      const shard = held.get(spec.name) ?? { ...spec, part: { begin: 0, of: whole[0]! } }; // none of its entries
      out.optimizer.push(await read(prefix + spec.name, whole, moments[spec.name], shard, isSharded ? ranks.world : ranks.experts));
    }
  }
  return out;
}

/** Puts back what {@link readTrainerTensors} gave. Every tensor is checked before any is written. */
export function writeTrainerTensors({ specs, parameters, optimizer, shards }: TrainerPlaces, stored: Readonly<Record<string, readonly StoredTensor[]>>, where: string): void {
  const moments = stored.optimizer ?? [];
  const trained = specs.filter(isTrained);
  assertTensors([...expectedOf(trained, 'm.'), ...expectedOf(trained, 'v.')], moments, { where: `${where} (optimizer)` });
  loadParameters(parameters, specs, stored.parameters ?? [], where);
  write(optimizer.firstMoments, shards, 'm.', moments);
  write(optimizer.secondMoments, shards, 'v.', moments);
}

/**
 * Writes the parameters of a checkpoint into tensors. `where` names it in errors. What a router's state has come to hold since then stays as it begins.
 * @throws XMoEError `checkpoint` unless each tensor of `specs` is there in its shape, and no other
 */
export function loadParameters(parameters: Parameters, specs: readonly ParameterSpec[], stored: readonly StoredTensor[], where: string): void {
  const known = specs.filter((spec) => !isNewInState(spec, stored));
  assertTensors(expectedOf(known), stored, { where });
  write(parameters, known, '', stored);
}

/** Whether `stored` has the state that `spec` is part of, but not this tensor of it. */
function isNewInState(spec: ParameterSpec, stored: readonly StoredTensor[]): boolean {
  if (isTrained(spec) || stored.some(({ name }) => name === spec.name)) return false;
  return stored.some(({ name }) => parentOf(name) === parentOf(spec.name));
}

const parentOf = (name: string): string => name.slice(0, name.lastIndexOf('.'));

function expectedOf(specs: readonly ParameterSpec[], prefix = ''): ExpectedTensor[] {
  return specs.map((spec) => ({ name: prefix + spec.name, shape: wholeOf(spec).shape, dtype: 'float32' }));
}

function write(target: Parameters, specs: readonly ParameterSpec[], prefix: string, stored: readonly StoredTensor[]): void {
  const byName = new Map(stored.map((tensor) => [tensor.name, tensor]));
  for (const spec of specs) target[spec.name]!.write(partOf(spec, byName.get(prefix + spec.name)!.data));
}

/** What of a whole tensor the spec is of. */
function partOf({ shape, part }: ParameterSpec, whole: StoredTensor['data']): StoredTensor['data'] {
  if (!part) return whole;
  const perEntry = whole.length / part.of;
  return whole.subarray(part.begin * perEntry, (part.begin + shape[0]!) * perEntry);
}

// What a checkpoint holds of a trainer, apart from the tensors' format: its counters, and its tensors by group.
import { isTrained, sizeOf, wholeOf, type ParameterSpec, type Parameters, type Tensor } from '@xmoe/core';
import type { Comm, RankGroups } from '@xmoe/distributed';
import { DEFAULT_LOSS_SCALE, nextLossScale, type AdamW } from '@xmoe/nn';
import { z } from 'zod';
import { assertTensors, type ExpectedTensor } from '../checkpoint/assert-tensors.js';
import type { FiledTensor, StoredArray, StoredTensor, TensorInfo } from '../checkpoint/tensor-format.js';
import { gatherEntries, type PieceHashes } from './gather-entries.js';

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

/** A tensor of a trainer, of which ranks may hold parts. */
export interface TrainedTensor extends TensorInfo {
  /** Ranks hold parts of it: all of them call `read` together. */
  readonly isSpread: boolean;
  /** Downloads it. The whole of a spread one comes to rank `to`, by default the first, and null to the others; what came is compared by `hashes`. */
  read(options?: { to?: number; hashes?: PieceHashes }): Promise<StoredArray | null>;
}

/** By checkpoint group, each in one order on all ranks. */
export type TrainedTensors = Readonly<Record<keyof TrainerTensors, readonly TrainedTensor[]>>;

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

/** The parameters, states among them, and the moments of those that are trained, the latter under `m.` and `v.`. Nothing is read yet. */
export function trainedTensors({ specs, parameters, optimizer, shards, ranks, isSharded }: TrainerPlaces): TrainedTensors {
  const one = (name: string, spec: ParameterSpec, tensor: () => Tensor | undefined, comm: Comm): TrainedTensor => {
    const { shape } = wholeOf(spec);
    return {
      name, dtype: 'float32', shape, isSpread: spec.part !== undefined,
      async read({ to = 0, hashes } = {}) {
        const within = comm === ranks.world ? to : to - (ranks.world.rank - comm.rank);
        if (spec.part && (within < 0 || within >= comm.size)) return null; // another group has all of it too
        const data = (await tensor()?.data()) ?? [];
        const own = data instanceof Float32Array ? data : new Float32Array(data);
        return spec.part ? gatherEntries(comm, { name, to: within, hashes }, own, spec.part, sizeOf(shape.slice(1))) : own;
      },
    };
  };
  const held = new Map(shards.map((spec) => [spec.name, spec]));
  const moments = (prefix: string, of: (optimizer: AdamW) => Parameters): TrainedTensor[] => specs.filter(isTrained).map((spec) => {
    const shard = held.get(spec.name) ?? { ...spec, part: { begin: 0, of: wholeOf(spec).shape[0]! } }; // none of its entries
    return one(prefix + spec.name, shard, () => of(optimizer)[spec.name], isSharded ? ranks.world : ranks.experts);
  });
  return {
    parameters: specs.map((spec) => one(spec.name, spec, () => parameters[spec.name], ranks.experts)),
    optimizer: [...moments('m.', ({ firstMoments }) => firstMoments), ...moments('v.', ({ secondMoments }) => secondMoments)],
  };
}

/** Whole tensors on all ranks, which call this together. */
export async function readTrainerTensors(tensors: TrainedTensors, { world }: RankGroups): Promise<TrainerTensors> {
  const out: TrainerTensors = { parameters: [], optimizer: [] };
  for (const group of ['parameters', 'optimizer'] as const) {
    for (const tensor of tensors[group]) {
      const { name, dtype, shape } = tensor;
      for (let to = 0; to < world.size; to++) {
        const data = await tensor.read({ to });
        if (to === world.rank) out[group].push({ name, dtype, shape, data: data! });
      }
    }
  }
  return out;
}

/** Tensors to put into a trainer, on the host or in a file. */
export type RestorableTensor = StoredTensor | FiledTensor;

/** Puts back what a checkpoint holds, of each tensor what this rank has of it. All are checked before any is written. */
export async function writeTrainerTensors({ specs, parameters, optimizer, shards }: TrainerPlaces, stored: Readonly<Record<string, readonly RestorableTensor[]>>, where: string): Promise<void> {
  const { parameters: weights = [], optimizer: moments = [] } = stored;
  const trained = specs.filter(isTrained);
  assertTensors([...expectedOf(trained, 'm.'), ...expectedOf(trained, 'v.')], moments, { where: `${where} (optimizer)` });
  await restoreParameters(parameters, specs, weights, where);
  await write(optimizer.firstMoments, shards, 'm.', moments);
  await write(optimizer.secondMoments, shards, 'v.', moments);
}

/**
 * Writes the parameters of a checkpoint into tensors. `where` names it in errors. What a router's state has come to hold since then stays as it begins.
 * @throws XMoEError `checkpoint` unless each tensor of `specs` is there in its shape, and no other
 */
export function loadParameters(parameters: Parameters, specs: readonly ParameterSpec[], stored: readonly StoredTensor[], where: string): void {
  const known = knownOf(specs, stored);
  assertTensors(expectedOf(known), stored, { where });
  const byName = new Map(stored.map((tensor) => [tensor.name, tensor]));
  for (const spec of known) parameters[spec.name]!.write(partOf(spec, byName.get(spec.name)!.data));
}

/** As {@link loadParameters}, from tensors that may be in files: of each is read what the rank has of it. */
export async function restoreParameters(parameters: Parameters, specs: readonly ParameterSpec[], stored: readonly RestorableTensor[], where: string): Promise<void> {
  const known = knownOf(specs, stored);
  assertTensors(expectedOf(known), stored, { where });
  await write(parameters, known, '', stored);
}

/** Those of `specs` but for tensors of a state that `stored` has others of. */
function knownOf(specs: readonly ParameterSpec[], stored: readonly Pick<StoredTensor, 'name'>[]): ParameterSpec[] {
  const isNew = (spec: ParameterSpec): boolean => {
    if (isTrained(spec) || stored.some(({ name }) => name === spec.name)) return false;
    return stored.some(({ name }) => parentOf(name) === parentOf(spec.name));
  };
  return specs.filter((spec) => !isNew(spec));
}

const parentOf = (name: string): string => name.slice(0, name.lastIndexOf('.'));

function expectedOf(specs: readonly ParameterSpec[], prefix = ''): ExpectedTensor[] {
  return specs.map((spec) => ({ name: prefix + spec.name, shape: wholeOf(spec).shape, dtype: 'float32' }));
}

async function write(target: Parameters, specs: readonly ParameterSpec[], prefix: string, stored: readonly RestorableTensor[]): Promise<void> {
  const byName = new Map(stored.map((tensor) => [tensor.name, tensor]));
  for (const spec of specs) {
    const tensor = byName.get(prefix + spec.name)!;
    target[spec.name]!.write('data' in tensor ? partOf(spec, tensor.data) : await tensor.read(spec.part && { begin: spec.part.begin, count: spec.shape[0]! }));
  }
}

/** What of a whole tensor the spec is of. */
function partOf({ shape, part }: ParameterSpec, whole: StoredTensor['data']): StoredTensor['data'] {
  if (!part) return whole;
  const perEntry = whole.length / part.of;
  return whole.subarray(part.begin * perEntry, (part.begin + shape[0]!) * perEntry);
}

// What a checkpoint holds of a trainer, apart from the tensors' format: its counters, and its tensors by group.
import { isTrained, sizeOf, wholeOf, type ParameterSpec, type Parameters } from '@xmoe/core';
import type { Comm } from '@xmoe/distributed';
import { DEFAULT_LOSS_SCALE, nextLossScale, type AdamW } from '@xmoe/nn';
import { z } from 'zod';
import { assertTensors, type ExpectedTensor } from '../checkpoint/assert-tensors.js';
import type { StoredTensor } from '../checkpoint/tensor-format.js';

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

/**
 * Downloads the parameters, states among them, and the moments of those that are trained, the latter under `m.` and `v.`. Of what the group `experts`
 * holds in parts, whole tensors: it calls this together.
 */
export async function readTrainerTensors(specs: readonly ParameterSpec[], parameters: Parameters, optimizer: AdamW, experts: Comm): Promise<TrainerTensors> {
  const read = async (source: Parameters, of: readonly ParameterSpec[], prefix: string): Promise<StoredTensor[]> => {
    const out: StoredTensor[] = [];
    for (const spec of of) {
      const data = await source[spec.name]!.data();
      const own = data instanceof Float32Array ? data : new Float32Array(data);
      out.push({ name: prefix + spec.name, dtype: 'float32', shape: wholeOf(spec).shape, data: spec.part ? await gatherParts(experts, own, sizeOf(wholeOf(spec).shape)) : own });
    }
    return out;
  };
  const trained = specs.filter(isTrained);
  const moments = [...(await read(optimizer.firstMoments, trained, 'm.')), ...(await read(optimizer.secondMoments, trained, 'v.'))];
  return { parameters: await read(parameters, specs, ''), optimizer: moments };
}

/** Puts back what {@link readTrainerTensors} gave. Every tensor is checked before any is written. */
export function writeTrainerTensors(
  specs: readonly ParameterSpec[],
  parameters: Parameters,
  optimizer: AdamW,
  stored: Readonly<Record<string, readonly StoredTensor[]>>,
  where: string,
): void {
  const moments = stored.optimizer ?? [];
  const trained = specs.filter(isTrained);
  assertTensors([...expectedOf(trained, 'm.'), ...expectedOf(trained, 'v.')], moments, { where: `${where} (optimizer)` });
  loadParameters(parameters, specs, stored.parameters ?? [], where);
  write(optimizer.firstMoments, trained, 'm.', moments);
  write(optimizer.secondMoments, trained, 'v.', moments);
}

/**
 * Writes the parameters of a checkpoint into tensors. `where` names it in errors.
 * @throws XMoEError `checkpoint` unless each tensor of `specs` is there in its shape, and no other
 */
export function loadParameters(parameters: Parameters, specs: readonly ParameterSpec[], stored: readonly StoredTensor[], where: string): void {
  assertTensors(expectedOf(specs), stored, { where });
  write(parameters, specs, '', stored);
}

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

/** The parts of all ranks, one behind the other. */
async function gatherParts(comm: Comm, own: Float32Array, length: number): Promise<Float32Array> {
  const lengths = new Int32Array(comm.size);
  await comm.allGather(Int32Array.of(own.length), lengths);
  const whole = new Float32Array(length);
  let at = 0;
  for (const [rank, count] of lengths.entries()) {
    const part = whole.subarray(at, at + count);
    if (rank === comm.rank) part.set(own);
    await comm.broadcast(part, rank);
    at += count;
  }
  return whole;
}

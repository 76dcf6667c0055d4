// The sums of gradients over the micro-batches of all ranks: of what every rank has, and of the experts that only some have. Where sums are
// `deterministic`, all are made in the order of the micro-batches' tree, those over ranks and the norm on the host.
import { add, collectTensors, isTrained, sizeOf, type Engine, type ForwardContext, type ParameterSpec, type Tensor } from '@xmoe/core';
import { addTo, createSumByHalves, reduceInOrder, type Comm, type RankGroups, type RunningSum, type Span } from '@xmoe/distributed';
import { createFlat } from './flat-tensors.js';
import { gradientNorm } from './gradient-norm.js';
import { spanOfGroup } from './micro-batch-share.js';
import type { Reduction } from './reduction.js';
import { hasOwnGradient } from './update.js';

export interface GradientSums {
  /** Of experts on this rank, within a round; absent where each rank has all. */
  readonly takeGradient: ForwardContext['takeGradient'];
  /** A new update of so many micro-batches. */
  begin(count: number): void;
  beginRound(terms: Span): void;
  /** Takes over the gradients of this rank's micro-batch; null: there was none, or it goes on to the next. Called by the whole group. */
  endRound(gradients: Gradients | null): Promise<void>;
  /** Takes over what went from one micro-batch to the next; null: nothing did. */
  endOwn(gradients: Gradients | null): Promise<void>;
  /** Hands over the sums over all ranks. Called by all of them. Returns the norm of all gradients, or null where the device makes it. */
  finish(write: (name: string, values: Float32Array) => void): Promise<number | null>;
  /** Gives back what an update holds that ends in between. */
  abandon(): void;
}

type Gradients = Readonly<Record<string, Tensor>>;

/** Numbers that one call of MPI's reduction takes. */
const BUCKET = 2 ** 22;

async function reduceFast(comm: Comm, values: Float32Array): Promise<void> {
  if (comm.size === 1) return;
  for (let from = 0; from < values.length; from += BUCKET) await comm.allReduce(values.subarray(from, from + BUCKET), 'sum');
}

/** A sum in the order in which terms come. */
function createPlainSum(): RunningSum {
  const held: Float32Array[] = [];
  return {
    add: (term) => void (held.length === 0 ? held.push(term) : addTo(held[0]!, term)),
    result: () => held[0] ?? null,
    held,
  };
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

export function createGradientSums(engine: Engine, specs: readonly ParameterSpec[], { world, experts, data }: RankGroups, reduction: Reduction, onHost = false): GradientSums {
  const inOrder = reduction !== 'fast';
  // Where the memory is the host's, the engine adds as the host does, denormal numbers too, and on all its threads.
  const byEngine = inOrder && experts.size === 1 && engine.backend.readSync !== undefined;
  const flat = createFlat(specs.filter(hasOwnGradient));
  const parts = specs.filter((spec) => isTrained(spec) && spec.part);
  const partLength = Math.ceil(flat.length / experts.size);
  let count = 0;
  let round: Span = { begin: 0, end: 0 };
  let own: RunningSum = createPlainSum();
  let ownOfEngine: RunningSum<Gradients> | null = null;
  let ofExperts = new Map<string, RunningSum>();
  const reduce = async (comm: Comm, values: Float32Array): Promise<void> => (inOrder ? reduceInOrder(comm, values, count) : reduceFast(comm, values));

  return {
    takeGradient: parts.length === 0 ? undefined : (name, source, gradient) => {
      if (round.begin + source < round.end) ofExperts.get(name)?.add(gradient.dataSync() as Float32Array);
    },
    begin(microBatches) {
      count = microBatches;
      const span = spanOfGroup(data, count, reduction);
      const createSum = (): RunningSum => (inOrder ? createSumByHalves(span, addTo) : createPlainSum());
      own = createSum();
      ownOfEngine = byEngine ? createSumByHalves(span, addGradients) : null;
      ofExperts = new Map(parts.map(({ name }) => [name, createSum()]));
    },
    beginRound(terms) {
      round = terms;
    },
    async endRound(gradients) {
      if (!inOrder) return;
      if (ownOfEngine && gradients) return ownOfEngine.add(gradients);
      const values = gradients ? await flat.read(gradients) : new Float32Array(flat.length);
      const terms = experts.size === 1 ? [values] : await exchangeParts(experts, values, partLength);
      for (const term of terms.slice(0, round.end - round.begin)) own.add(term);
    },
    endOwn: async (gradients) => void (gradients && own.add(await flat.read(gradients))),
    async finish(write) {
      const isParted = inOrder && experts.size > 1;
      const ofEngine = ownOfEngine?.result();
      ownOfEngine = null;
      const sum = (ofEngine ? await flat.read(ofEngine) : own.result()) ?? new Float32Array(isParted ? partLength : flat.length);
      await reduce(isParted ? data : world, sum);
      const values = isParted ? await gatherParts(experts, sum, flat.length) : sum;
      const byName = new Map(flat.names.map((name, index) => [name, flat.part(values, index)]));
      for (const { name, shape } of parts) {
        const part = ofExperts.get(name)!.result() ?? new Float32Array(sizeOf(shape));
        await reduce(data, part);
        byName.set(name, part);
      }
      for (const [name, gradient] of byName) write(name, gradient);
      return inOrder || onHost || parts.length > 0 ? gradientNorm(specs.filter(isTrained), byName, experts) : null;
    },
    abandon() {
      for (const tensor of collectTensors(ownOfEngine?.held)) tensor.dispose();
      ownOfEngine = null;
    },
  };
}

/** The first `length` numbers of the parts of all ranks, one behind the other. */
async function gatherParts(comm: Comm, part: Float32Array, length: number): Promise<Float32Array> {
  const all = new Float32Array(part.length * comm.size);
  await comm.allGather(part, all);
  return all.subarray(0, length);
}

/** Part `rank` of the values of each rank, by rank. */
async function exchangeParts(comm: Comm, values: Float32Array, partLength: number): Promise<Float32Array[]> {
  const { rank, size } = comm;
  const counts = Int32Array.from({ length: size }, (_, part) => Math.max(0, Math.min(partLength, values.length - part * partLength)));
  const own = counts[rank]!;
  const received = new Float32Array(own * size);
  await comm.allToAllV(values, counts, received, new Int32Array(size).fill(own));
  return Array.from({ length: size }, (_, from) => {
    const term = new Float32Array(partLength);
    term.set(received.subarray(from * own, (from + 1) * own));
    return term;
  });
}

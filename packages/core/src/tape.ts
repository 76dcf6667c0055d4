// The gradient tape: what ran forward, and how to run it backward. First order only. Users call valueAndGrad (grad.ts).
import type { DType } from './dtype.js';
import type { Engine } from './engine.js';
import { XMoEError } from './errors.js';
import { formatShape, sameShape, type Shape } from './shape.js';
import type { Tensor } from './tensor.js';

/**
 * Gradients of a node's inputs, given those of its outputs (null: that output was not used). `needs[i]` tells whether
 * input i wants one; null means zero. It runs in a scope of its own, unrecorded, and may return its arguments.
 */
export type Backward = (
  outputGradients: readonly (Tensor | null)[],
  saved: readonly Tensor[],
  needs: readonly boolean[],
) => readonly (Tensor | null)[];

export interface Recording {
  readonly op: string;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  /** Tensors that `backward` reads. The tape holds its own references until then. */
  readonly saved: readonly Tensor[];
  readonly backward: Backward;
  /**
   * Adds the gradient of the only input to what is there of it, float32 and nobody else's, in place: for gradients that are nearly all zero. Given only
   * where the backend does it better than by `backward` and a sum.
   */
  readonly addTo?: ((outputGradients: readonly (Tensor | null)[], saved: readonly Tensor[], sums: Tensor) => void) | undefined;
}

/** What the tape knows of an input: not the tensor itself, which may be gone by then. */
interface NodeInput {
  readonly id: number;
  readonly shape: Shape;
  readonly dtype: DType;
}

interface Node {
  readonly op: string;
  readonly inputs: readonly NodeInput[];
  readonly needs: readonly boolean[];
  readonly outputIds: readonly number[];
  readonly saved: readonly Tensor[];
  readonly backward: Backward;
  readonly addTo: Recording['addTo'];
}

/** In place of the number of a node. */
const UNUSED = -1;

export class Tape {
  readonly #engine: Engine;
  readonly #nodes: Node[] = [];
  /** Ids that a gradient flows to. */
  readonly #tracked = new Set<number>();
  readonly #outer: Tape | undefined;
  /** Tensors of the outer tape that were read: what activation checkpointing must know. */
  readonly outerInputs = new Map<number, Tensor>();

  /** With `outer` a probe: it notes which tensors of the outer tape are read, and records nothing. */
  constructor(engine: Engine, outer?: Tape) {
    this.#engine = engine;
    this.#outer = outer;
  }

  watch(tensor: Tensor): void {
    this.#tracked.add(tensor.id);
  }

  isTracked(tensor: Tensor): boolean {
    if (this.#tracked.has(tensor.id)) return true;
    if (!this.#outer?.isTracked(tensor)) return false;
    this.#tracked.add(tensor.id);
    this.outerInputs.set(tensor.id, tensor);
    return true;
  }

  record(recording: Recording): void {
    const needs = recording.inputs.map((input) => this.isTracked(input));
    if (this.#outer || !needs.includes(true)) return;
    for (const output of recording.outputs) this.#tracked.add(output.id);
    this.#nodes.push({
      op: recording.op,
      inputs: recording.inputs.map(({ id, shape, dtype }) => ({ id, shape, dtype })),
      needs,
      outputIds: recording.outputs.map((output) => output.id),
      saved: recording.saved.map((tensor) => this.#engine.retain(tensor)),
      backward: recording.backward,
      addTo: recording.addTo,
    });
  }

  /**
   * Runs backward from `outputs` with `seeds` and returns the gradients of `wanted` (null: none flows there). Frees
   * each saved activation as soon as its node has run. The tape is empty afterwards. `earlier[i]` is a gradient of `wanted[i]`
   * that the new one is added to; it is disposed, so that no more than one new gradient lives beside the sums. `whenWhole` gets the gradient of
   * `wanted[index]`, still the tape's, as soon as nothing will be added to it; of those that nothing was made from (null: none flows there) at the end.
   */
  pullback(
    outputs: readonly Tensor[], seeds: readonly Tensor[], wanted: readonly Tensor[], earlier: readonly Tensor[] = [], whenWhole?: (index: number, gradient: Tensor | null) => void,
  ): (Tensor | null)[] {
    const engine = this.#engine;
    const gradients = new Map<number, Tensor>();
    const add = (id: number, gradient: Tensor): void => {
      const existing = gradients.get(id);
      if (!existing) {
        gradients.set(id, engine.retain(gradient));
        return;
      }
      const sum = engine.empty(existing.shape, existing.dtype).keep();
      engine.kernels.binary({ a: existing, b: gradient }, { out: sum }, { op: 'add' });
      existing.dispose();
      gradients.set(id, sum);
    };
    try {
      earlier.forEach((gradient, index) => gradients.set(wanted[index]!.id, gradient));
      engine.withTape(undefined, () => {
        outputs.forEach((output, index) => add(output.id, seeds[index]!));
        const wholeAt = whenWhole ? this.#firstUses(wanted) : null;
        const tell = (at: number): void => wholeAt?.get(at)?.forEach((index) => whenWhole!(index, gradients.get(wanted[index]!.id) ?? null));
        for (let node = this.#nodes.pop(); node; node = this.#nodes.pop()) {
          this.#step(node, gradients, add);
          tell(this.#nodes.length);
        }
        tell(UNUSED);
      });
      return wanted.map((tensor) => {
        const gradient = gradients.get(tensor.id);
        return gradient ? engine.alias(gradient) : null;
      });
    } finally {
      for (const gradient of gradients.values()) gradient.dispose();
      this.clear();
    }
  }

  /** By the number of the first node that a tensor goes into, which of `wanted` these are. */
  #firstUses(wanted: readonly Tensor[]): Map<number, number[]> {
    const first = new Map(wanted.map(({ id }) => [id, UNUSED]));
    for (let at = this.#nodes.length - 1; at >= 0; at--) {
      const { inputs, needs } = this.#nodes[at]!;
      inputs.forEach(({ id }, input) => needs[input] && first.has(id) && first.set(id, at));
    }
    const uses = new Map<number, number[]>();
    wanted.forEach(({ id }, index) => uses.set(first.get(id)!, [...(uses.get(first.get(id)!) ?? []), index]));
    return uses;
  }

  #step(node: Node, gradients: Map<number, Tensor>, add: (id: number, gradient: Tensor) => void): void {
    const outputGradients = node.outputIds.map((id) => gradients.get(id) ?? null);
    try {
      if (outputGradients.every((gradient) => gradient === null)) return;
      this.#engine.scope(() => {
        const sums = node.addTo && gradients.get(node.inputs[0]!.id);
        if (sums?.storage.references === 1) return node.addTo!(outputGradients, node.saved, sums);
        const results = node.backward(outputGradients, node.saved, node.needs);
        node.inputs.forEach((input, index) => {
          const gradient = results[index];
          if (!node.needs[index] || !gradient) return;
          checkGradient(node, index, gradient);
          add(input.id, gradient);
        });
      });
    } finally {
      for (const tensor of node.saved) tensor.dispose();
      for (const id of node.outputIds) {
        gradients.get(id)?.dispose();
        gradients.delete(id);
      }
    }
  }

  /** Drops what is recorded, and the saved activations with it. */
  clear(): void {
    for (const node of this.#nodes) for (const tensor of node.saved) tensor.dispose();
    this.#nodes.length = 0;
  }
}

function checkGradient(node: Node, index: number, gradient: Tensor): void {
  const { shape, dtype } = node.inputs[index]!;
  if (sameShape(shape, gradient.shape) && gradient.dtype === dtype) return;
  throw new XMoEError('autodiff', `the gradient of input ${index} is ${gradient.toString()}, the input ${dtype} ${formatShape(shape)}`, {
    op: node.op,
    hint: 'a custom gradient must return one tensor per input, in the shape and dtype of that input',
  });
}

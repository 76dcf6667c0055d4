// Gradients for users: valueAndGrad, grad, vjp, customGradient, checkpoint. The machinery is in tape.ts.
import type { Engine } from './engine.js';
import { XMoEError } from './errors.js';
import { Tape, type Backward } from './tape.js';
import { collectTensors, Tensor, type TensorTree } from './tensor.js';

export interface ValueAndGrad<P, A> {
  /** The scalar that was differentiated, float32 []. */
  loss: Tensor;
  /** What the function returned beside the loss. */
  aux: A;
  /** A tensor for every tensor of the parameters, in the same tree; zeros where no gradient flows. */
  gradients: P;
}

/** The loss alone, or the loss with anything else to hand out. */
export type LossResult<A> = Tensor | { loss: Tensor; aux: A };

/**
 * Runs `fn(parameters)` and the backward pass. Activations are freed as the backward pass goes.
 * `options.seed` (float32 []) replaces the initial gradient 1, for loss scaling.
 */
export function valueAndGrad<P extends TensorTree, A = undefined>(
  engine: Engine,
  fn: (parameters: P) => LossResult<A>,
  parameters: P,
  options: { seed?: Tensor } = {},
): ValueAndGrad<P, A> {
  if (engine.tape) {
    throw new XMoEError('autodiff', 'gradients of gradients are not supported', {
      op: 'valueAndGrad',
      hint: 'call it outside of another valueAndGrad',
    });
  }
  const leaves = collectTensors(parameters);
  const tape = new Tape(engine);
  for (const leaf of leaves) tape.watch(leaf);
  try {
    const result = engine.withTape(tape, () => engine.scope(() => fn(parameters)));
    const loss = result instanceof Tensor ? result : result.loss;
    const aux = (result instanceof Tensor ? undefined : result.aux) as A;
    if (loss.size !== 1 || loss.dtype !== 'float32') {
      throw new XMoEError('autodiff', `the loss must be one float32, got ${loss.toString()}`, {
        op: 'valueAndGrad',
        hint: 'reduce it with sum or mean',
      });
    }
    const gradients = engine.scope(() => {
      const seed = options.seed ?? engine.ones(loss.shape);
      const found = tape.pullback([loss], [engine.alias(seed, loss.shape)], leaves);
      const byId = new Map(leaves.map((leaf, index) => [leaf.id, found[index] ?? engine.zeros(leaf.shape, leaf.dtype)]));
      return mapTree(parameters, (leaf) => byId.get(leaf.id)!);
    });
    return { loss, aux, gradients };
  } finally {
    tape.clear();
  }
}

/** The gradients alone; see {@link valueAndGrad}. */
export function grad<P extends TensorTree>(engine: Engine, fn: (parameters: P) => LossResult<unknown>, parameters: P): P {
  const { loss, gradients } = valueAndGrad(engine, fn, parameters);
  loss.dispose();
  return gradients;
}

export interface Vjp {
  output: Tensor;
  /** Gradients of the inputs for `dy` in the shape of the output. Once only. */
  pullback(dy: Tensor): Tensor[];
  /** Frees what the backward pass would have needed. */
  dispose(): void;
}

/** Vector-Jacobian product: runs `fn(...inputs)` now and the backward pass when `pullback` is called. */
export function vjp(engine: Engine, fn: (...inputs: Tensor[]) => Tensor, inputs: readonly Tensor[]): Vjp {
  const tape = new Tape(engine);
  for (const input of inputs) tape.watch(input);
  const output = engine.withTape(tape, () => engine.scope(() => fn(...inputs)));
  return {
    output,
    pullback: (dy) =>
      engine.scope(() =>
        tape.pullback([output], [dy], inputs).map((gradient, index) => gradient ?? engine.zeros(inputs[index]!.shape, inputs[index]!.dtype)),
      ),
    dispose: () => tape.clear(),
  };
}

/**
 * An op with a gradient of its own. `forward` runs unrecorded and returns the outputs and what `backward` wants saved.
 */
export function customGradient<R extends Tensor | readonly Tensor[]>(
  op: string,
  inputs: readonly Tensor[],
  forward: () => { outputs: R; saved: readonly Tensor[] },
  backward: Backward,
): R {
  const { engine } = inputs[0]!;
  const { outputs, saved } = engine.noGrad(forward);
  const list: readonly Tensor[] = outputs instanceof Tensor ? [outputs] : (outputs as readonly Tensor[]);
  engine.tape?.record({ op, inputs, outputs: list, saved, backward });
  return outputs;
}

/**
 * Activation checkpointing (Chen et al. 2016): runs `fn(...inputs)` keeping only its inputs, and runs it again during
 * the backward pass. Parameters that `fn` closes over get their gradients too; they must live until then.
 */
export function checkpoint(engine: Engine, fn: (...inputs: Tensor[]) => Tensor, inputs: readonly Tensor[]): Tensor {
  const outer = engine.tape;
  if (!outer) return engine.scope(() => fn(...inputs));
  // A probe tape finds which tracked tensors the function reads, then drops everything else.
  const probe = new Tape(engine, outer);
  const output = engine.withTape(probe, () => engine.scope(() => fn(...inputs)));
  probe.clear();
  const inputIds = new Set(inputs.map((input) => input.id));
  const closure = [...probe.outerInputs.values()].filter((tensor) => !inputIds.has(tensor.id));
  outer.record({
    op: 'checkpoint',
    inputs: [...inputs, ...closure],
    outputs: [output],
    saved: inputs,
    backward: ([dy], saved) => {
      const tape = new Tape(engine);
      for (const tensor of [...saved, ...closure]) tape.watch(tensor);
      const again = engine.withTape(tape, () => engine.scope(() => fn(...saved)));
      return tape.pullback([again], [dy!], [...saved, ...closure]);
    },
  });
  return output;
}

/** `tree` with `fn` applied to every tensor. */
export function mapTree<P extends TensorTree>(tree: P, fn: (leaf: Tensor) => Tensor): P {
  const map = (item: TensorTree): TensorTree => {
    if (item instanceof Tensor) return fn(item);
    if (item === null || item === undefined) return item;
    if (Array.isArray(item)) return item.map((child: TensorTree) => map(child));
    return Object.fromEntries(Object.entries(item).map(([key, child]) => [key, map(child as TensorTree)]));
  };
  return map(tree) as P;
}

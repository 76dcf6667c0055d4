// Gradients for users: valueAndGrad, grad, vjp, customGradient, checkpoint. The machinery is in tape.ts.
import type { Engine } from './engine.js';
import { XMoEError } from './errors.js';
import { describeArgument, requireOptions } from './checks.js';
import { formatShape, sameShape } from './shape.js';
import { Tape, type Backward } from './tape.js';
import { collectTensors, isPlainObject, Tensor, type TensorTree } from './tensor.js';

export interface ValueAndGrad<P, A> {
  /** The scalar that was differentiated, float32 []. */
  loss: Tensor;
  /** What the function returned beside the loss. */
  aux: A;
  /** A tensor for every tensor of the parameters, in the same tree; zeros where no gradient flows. */
  gradients: P;
}

type WhenWhole = (index: number, gradient: Tensor) => void;

/** The loss alone, or the loss with anything else to hand out. */
export type LossResult<A> = Tensor | { loss: Tensor; aux: A };

/**
 * Runs `fn(parameters)` and the backward pass. Activations are freed as the backward pass goes.
 * `options.seed` (float32 []) replaces the initial gradient 1, for loss scaling. `options.onto` holds gradients of other
 * batches, in the tree of the parameters: what is returned is the sum, and they are disposed one by one as it is made, or all
 * when something fails. Only these sums and the newest gradient live at once.
 * `options.whenWhole` is called during the backward pass, as soon as the gradient of a parameter is whole, with its index in the order of
 * `collectTensors(parameters)` and the gradient, which is not its to dispose: what is done with it goes on while the others are made.
 */
export function valueAndGrad<P extends TensorTree, A = undefined>(
  engine: Engine,
  fn: (parameters: P) => LossResult<A>,
  parameters: P,
  options: { seed?: Tensor; onto?: P; whenWhole?: WhenWhole } = {},
): ValueAndGrad<P, A> {
  const leaves = collectTensors(parameters);
  requireOptions('valueAndGrad', options);
  const earlier = options.onto ? collectTensors(options.onto) : [];
  try {
    return differentiate(engine, fn, parameters, { leaves, earlier, initial: options.seed, whenWhole: options.whenWhole });
  } finally {
    for (const gradient of earlier) gradient.dispose();
  }
}

function differentiate<P extends TensorTree, A>(
  engine: Engine,
  fn: (parameters: P) => LossResult<A>,
  parameters: P,
  { leaves, earlier, initial, whenWhole }: { leaves: readonly Tensor[]; earlier: readonly Tensor[]; initial: Tensor | undefined; whenWhole: WhenWhole | undefined },
): ValueAndGrad<P, A> {
  const op = 'valueAndGrad';
  checkCall(engine, fn, op);
  refuseNested(engine, op);
  requireSums(op, leaves, earlier);
  requireEngine(op, engine, leaves);
  if (initial) requireScalar(op, 'seed', initial);
  const tape = new Tape(engine);
  for (const leaf of leaves) tape.watch(leaf);
  // The outer scope frees everything if the backward pass fails; the inner one frees what nobody saved before it starts.
  return engine.scope(() => {
    try {
      const result = engine.withTape(tape, () => engine.scope(() => fn(parameters)));
      const loss = result instanceof Tensor ? result : result?.loss;
      const aux = (result instanceof Tensor ? undefined : result.aux) as A;
      requireScalar(op, 'loss', loss);
      requireEngine(op, engine, [loss]);
      const gradients = engine.scope(() => {
        const seed = engine.alias(initial ?? engine.constant(1), loss.shape);
        const found = tape.pullback([loss], [seed], leaves, earlier, whenWhole && ((index, gradient) => whenWhole(index, gradient ?? zerosLike(leaves[index]!))));
        const byId = new Map(leaves.map((leaf, index) => [leaf.id, found[index] ?? zerosLike(leaf)]));
        return mapTree(parameters, (leaf) => byId.get(leaf.id)!);
      });
      return { loss, aux, gradients };
    } finally {
      tape.clear();
    }
  });
}

function checkCall(engine: Engine, fn: unknown, op: string): void {
  if (typeof engine?.withTape !== 'function') throw new XMoEError('value', `engine is ${describeArgument(engine)}`, { op, hint: 'pass the engine that createEngine gave' });
  if (typeof fn !== 'function') throw new XMoEError('value', `fn is ${describeArgument(fn)}, not a function`, { op, hint: 'pass a function of tensors' });
}

function requireTensors(op: string, inputs: readonly unknown[]): void {
  if (Array.isArray(inputs) && inputs.every((input) => input instanceof Tensor)) return;
  throw new XMoEError('value', 'the inputs are not a list of tensors', { op, hint: 'pass an array of tensors' });
}

function refuseNested(engine: Engine, op: string): void {
  if (!engine.tape) return;
  throw new XMoEError('autodiff', 'gradients of gradients are not supported', {
    op,
    hint: 'call it outside of another valueAndGrad, or inside engine.noGrad if no gradient has to flow through it',
  });
}

function requireSums(op: string, leaves: readonly Tensor[], earlier: readonly Tensor[]): void {
  if (earlier.length === 0) return;
  const fits = earlier.length === leaves.length && earlier.every(({ shape, dtype }, index) => sameShape(shape, leaves[index]!.shape) && dtype === leaves[index]!.dtype);
  if (fits) return;
  throw new XMoEError('autodiff', 'the earlier gradients are not those of these parameters', { op, hint: 'pass the gradients of an earlier call with the same parameters' });
}

function requireEngine(op: string, engine: Engine, tensors: readonly Tensor[]): void {
  if (tensors.every((tensor) => tensor.engine === engine)) return;
  throw new XMoEError('backend', 'a tensor lives on another engine', { op, hint: 'pass the engine that made the parameters' });
}

function requireScalar(op: string, name: string, tensor: Tensor): void {
  if (!(tensor instanceof Tensor)) throw new XMoEError('autodiff', `the ${name} is ${describeArgument(tensor)}, not a tensor`, { op, hint: 'return a tensor, or { loss, aux }' });
  if (tensor.size === 1 && tensor.dtype === 'float32') return;
  throw new XMoEError('autodiff', `the ${name} must be one float32, got ${tensor.toString()}`, { op, hint: 'reduce it with sum or mean' });
}

const zerosLike = (tensor: Tensor): Tensor => tensor.engine.zeros(tensor.shape, tensor.dtype);

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
  const op = 'vjp';
  checkCall(engine, fn, op);
  requireTensors(op, inputs);
  refuseNested(engine, op);
  requireEngine(op, engine, inputs);
  const tape = new Tape(engine);
  for (const input of inputs) tape.watch(input);
  let spent = false;
  const dispose = (): void => {
    spent = true;
    tape.clear();
  };
  let output: Tensor;
  try {
    output = engine.withTape(tape, () => engine.scope(() => fn(...inputs)));
  } catch (error) {
    dispose();
    throw error;
  }
  const { shape, dtype } = output;
  const pullback = (dy: Tensor): Tensor[] => {
    if (spent) throw new XMoEError('autodiff', 'the pullback ran already, or was disposed', { op, hint: 'call vjp again: activations are freed as it runs' });
    if (!sameShape(dy.shape, shape) || dy.dtype !== dtype) {
      throw new XMoEError('autodiff', `dy is ${dy.toString()}, the output ${dtype} ${formatShape(shape)}`, { op, hint: 'pass one value per element of the output' });
    }
    spent = true;
    return engine.scope(() => tape.pullback([output], [dy], inputs).map((gradient, index) => gradient ?? zerosLike(inputs[index]!)));
  };
  return { output, pullback, dispose };
}

/**
 * An op with a gradient of its own. `forward` runs unrecorded in a scope and returns the outputs and what `backward`
 * wants saved. `backward` returns one gradient per input, in its shape and dtype; null means none.
 */
export function customGradient<R extends Tensor | readonly Tensor[]>(
  op: string,
  inputs: readonly Tensor[],
  forward: () => { outputs: R; saved: readonly Tensor[] },
  backward: Backward,
): R {
  const engine = inputs[0]?.engine;
  if (!engine) throw new XMoEError('value', 'there are no inputs', { op, hint: 'pass the tensors that get a gradient' });
  requireEngine(op, engine, inputs);
  return engine.scope(() => {
    const { outputs, saved } = engine.noGrad(forward);
    const { tape } = engine;
    if (!tape) return outputs;
    // An output that came from outside (an input passed through) needs an identity of its own.
    const own = (tensor: Tensor): Tensor => (tape.isTracked(tensor) ? engine.alias(tensor) : tensor);
    const fresh = (outputs instanceof Tensor ? own(outputs) : outputs.map(own)) as R;
    tape.record({ op, inputs, outputs: fresh instanceof Tensor ? [fresh] : fresh, saved, backward });
    return fresh;
  });
}

/**
 * Activation checkpointing (Chen et al. 2016): runs `fn(...inputs)` keeping only its inputs and results, and runs it
 * again during the backward pass. The result may be a tensor or a tree of them. Parameters that `fn` closes over get
 * their gradients too; they must live, unchanged, until then (random keys also: the second run must draw the same).
 */
export function checkpoint<R>(engine: Engine, fn: (...inputs: Tensor[]) => R, inputs: readonly Tensor[]): R {
  checkCall(engine, fn, 'checkpoint');
  requireTensors('checkpoint', inputs);
  const outer = engine.tape;
  if (!outer) return engine.scope(() => fn(...inputs));
  // The probe finds which tracked tensors fn reads beside its arguments: those get identities of their own.
  const probe = new Tape(engine, outer);
  const result = engine.withTape(probe, () =>
    engine.scope(() => fn(...inputs.map((input) => engine.alias(input)))),
  );
  const closure = [...probe.outerInputs.values()];
  // A tensor from outside that fn merely returns is no output of this node.
  const isOutput = collectTensors(result).map((tensor) => !outer.isTracked(tensor));
  outer.record({
    op: 'checkpoint',
    inputs: [...inputs, ...closure],
    outputs: collectTensors(result).filter((_, index) => isOutput[index]),
    saved: inputs,
    backward: (gradients, saved) => {
      const tape = new Tape(engine);
      try {
        const wanted = [...saved, ...closure];
        for (const tensor of wanted) tape.watch(tensor);
        const again = collectTensors(engine.withTape(tape, () => engine.scope(() => fn(...saved)))).filter((_, index) => isOutput[index]);
        const used = again.filter((_, index) => gradients[index] !== null);
        return tape.pullback(used, gradients.filter((gradient) => gradient !== null), wanted);
      } finally {
        tape.clear();
      }
    },
  });
  return result;
}

/** `tree` with `fn` applied to every tensor. Arrays and plain objects only. */
export function mapTree<P extends TensorTree>(tree: P, fn: (leaf: Tensor) => Tensor): P {
  const map = (item: TensorTree): TensorTree => {
    if (item instanceof Tensor) return fn(item);
    if (item === null || item === undefined) return item;
    if (Array.isArray(item)) return item.map((child: TensorTree) => map(child));
    if (!isPlainObject(item)) {
      throw new XMoEError('value', `a tree of tensors holds a ${Object.prototype.toString.call(item).slice(8, -1)}`, {
        op: 'mapTree',
        hint: 'nest tensors in arrays and plain objects only',
      });
    }
    return Object.fromEntries(Object.entries(item).map(([key, child]) => [key, map(child as TensorTree)]));
  };
  return map(tree) as P;
}

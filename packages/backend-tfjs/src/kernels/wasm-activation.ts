// biasActivation and its gradient with tanh-GELU, ReLU or none on the wasm build: a chain of SIMD calls over pieces that stay in
// the cache, about eight times faster than one host loop (exp is what costs). erf-GELU stays on the host: the build's
// erf is only good to 1e-7 absolute.
import type { Activation, FusedKernels, Operand } from '@xmoe/core';
import { GELU_CUBIC, GELU_FAR, GELU_SLOPE, segmentsOf } from '@xmoe/kernels-host';
import type { WasmContext } from './wasm-context.js';

const FLOAT = 4;
const SHORT = 1024;
type Activations = Pick<FusedKernels, 'biasActivation' | 'biasActivationGrad'>;

/** gate ← sigmoid(slope·(x + cubic·x³)), NaN where x is; GELU's tanh form is x·gate. `gate` is not `x`. */
function geluGate({ heap }: WasmContext, x: number, gate: number, n: number): void {
  heap.unary('Square', x, gate, n);
  heap.scalar('Multiply', gate, GELU_SLOPE * GELU_CUBIC, gate, n);
  heap.scalar('Add', gate, GELU_SLOPE, gate, n);
  heap.binary('Multiply', { address: gate, shape: [n] }, { address: x, shape: [n] }, gate, n);
  heap.unary('Sigmoid', gate, gate, n);
}

/** dx ← dy·(gate + x·gate·(1 − gate)·slope·(1 + 3·cubic·x²)) and, if wanted, value ← x·gate, with x kept within bounds; three scratch pieces. */
function geluGradient(context: WasmContext, x: number, dy: number, dx: number, n: number, value: number | null): void {
  const { heap } = context;
  const [gate, inner] = [heap.scratch(1, n), heap.scratch(2, n)];
  const at = (address: number) => ({ address, shape: [n] });
  const near = heap.scratch(3, n);
  heap.clip(x, -GELU_FAR, GELU_FAR, near, n);
  geluGate(context, x, gate, n);
  if (value !== null) {
    heap.clip(x, -GELU_FAR, Infinity, value, n);
    heap.binary('Multiply', at(value), at(gate), value, n);
  }
  heap.unary('Square', near, inner, n);
  heap.scalar('Multiply', inner, 3 * GELU_CUBIC * GELU_SLOPE, inner, n);
  heap.scalar('Add', inner, GELU_SLOPE, inner, n);
  heap.binary('Multiply', at(inner), at(near), inner, n);
  heap.binary('Multiply', at(inner), at(gate), inner, n); // x·gate·u′
  heap.binary('Multiply', at(inner), at(gate), dx, n);
  heap.binary('Sub', at(inner), at(dx), inner, n); // x·gate·u′·(1 − gate)
  heap.binary('Add', at(inner), at(gate), inner, n);
  heap.binary('Multiply', at(inner), at(dy), dx, n);
}

/** out ← activation(x). */
function activate(context: WasmContext, activation: Activation, x: number, out: number, n: number): void {
  const { heap } = context;
  if (activation === 'relu') return heap.unary('Relu', x, out, n);
  if (activation === 'none') return void heap.floats(out, n).set(heap.floats(x, n));
  const [gate, low] = [heap.scratch(1, n), heap.scratch(3, n)];
  heap.clip(x, -GELU_FAR, Infinity, low, n);
  geluGate(context, x, gate, n);
  heap.binary('Multiply', { address: low, shape: [n] }, { address: gate, shape: [n] }, out, n);
}

/** dx ← dy·activation′(x), and value ← activation(x) if it is wanted. */
function differentiate(context: WasmContext, activation: Activation, x: number, dy: number, dx: number, n: number, value: number | null = null): void {
  if (activation === 'gelu-tanh') return geluGradient(context, x, dy, dx, n, value);
  if (value !== null) activate(context, activation, x, value, n);
  const [input, upstream, out] = [x, dy, dx].map((address) => context.heap.floats(address, n));
  if (activation === 'none') out.set(upstream);
  else for (let i = 0; i < n; i++) out[i] = input[i] > 0 ? upstream[i] : 0;
}

/** Adds the columns of x [rows, C] to `sums`. */
function addColumns(x: Float32Array, C: number, sums: Float64Array): void {
  for (let at = 0; at < x.length; at += C) for (let j = 0; j < C; j++) sums[j] += x[at + j];
}

const takes = (activation: string, x: Operand): boolean => activation !== 'gelu-erf' && x.shape[0] * x.shape[1] >= SHORT;

/** value = activation(x) and dx = dy·activation′(x), all of x's shape. */
export type ValueAndGradient = (x: Operand, dy: Operand, value: Operand, dx: Operand, attributes: { activation: Activation }) => void;

/** Both at once where SIMD calls do it: they share what costs. */
export function wasmValueAndGradient(context: WasmContext, otherwise: ValueAndGradient): ValueAndGradient {
  return (x, dy, value, dx, attributes) => {
    if (!takes(attributes.activation, x)) return otherwise(x, dy, value, dx, attributes);
    const [out, gradient] = [context.output(value), context.output(dx)];
    const [source, upstream] = [context.input(x), context.input(dy)];
    context.pieces(x.shape[0] * x.shape[1], 1, (start, n) => {
      const at = start * FLOAT;
      differentiate(context, attributes.activation, source + at, upstream + at, gradient + at, n, out + at);
    });
  };
}

export function wasmActivation(context: WasmContext, host: Activations): Activations {
  const { heap } = context;

  /** The sum x + bias of one piece, at `target` or in work space: `x` itself without a bias. */
  const shifted = (x: number, bias: number | null, target: number | null, rows: number, C: number): number => {
    if (bias === null) return x;
    const sum = target ?? heap.scratch(0, rows * C);
    heap.binary('Add', { address: x, shape: [rows, C] }, { address: bias, shape: [1, C] }, sum, rows * C);
    return sum;
  };

  return {
    biasActivation({ x, bias, offsets }, { out }, attributes) {
      if (!takes(attributes.activation, x)) return host.biasActivation({ x, bias, offsets }, { out }, attributes);
      const [R, C] = x.shape;
      const target = context.output(out);
      const [source, shift] = [context.input(x), bias ? context.input(bias) : null];
      const isSum = attributes.activation === 'none' && shift !== null;
      const segments = segmentsOf(offsets ? context.integers(offsets) : undefined, R);
      segments.forEach(({ first, end }, g) => {
        context.pieces(end - first, C, (start, rows) => {
          const n = rows * C;
          const at = (first + start) * C * FLOAT;
          const sum = shifted(source + at, shift === null ? null : shift + g * C * FLOAT, isSum ? target + at : null, rows, C);
          if (!isSum) activate(context, attributes.activation, sum, target + at, n);
        });
      });
      const end = (segments.at(-1)?.end ?? 0) * C;
      heap.floats(target + end * FLOAT, R * C - end).fill(0);
    },
    biasActivationGrad({ x, bias, offsets, dy }, { dx, dbias }, attributes) {
      if (!takes(attributes.activation, x)) return host.biasActivationGrad({ x, bias, offsets, dy }, { dx, dbias }, attributes);
      const [R, C] = x.shape;
      const target = context.output(dx);
      const shiftGradient = dbias ? context.output(dbias) : null;
      const [source, upstream, shift] = [context.input(x), context.input(dy), bias ? context.input(bias) : null];
      const segments = segmentsOf(offsets ? context.integers(offsets) : undefined, R);
      const sums = new Float64Array(C);
      segments.forEach(({ first, end }, g) => {
        sums.fill(0);
        context.pieces(end - first, C, (start, rows) => {
          const at = (first + start) * C * FLOAT;
          const sum = shifted(source + at, shift === null ? null : shift + g * C * FLOAT, null, rows, C);
          differentiate(context, attributes.activation, sum, upstream + at, target + at, rows * C);
          if (shiftGradient !== null) addColumns(heap.floats(target + at, rows * C), C, sums);
        });
        if (shiftGradient !== null) heap.floats(shiftGradient + g * C * FLOAT, C).set(sums);
      });
      const end = (segments.at(-1)?.end ?? 0) * C;
      heap.floats(target + end * FLOAT, R * C - end).fill(0);
    },
  };
}

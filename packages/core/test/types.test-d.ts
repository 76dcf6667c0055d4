// What the type checker must know. Checked by tsc alone: nothing here runs.
import {
  attention, checkpoint, createEngine, customGradient, grad, sum, topK, valueAndGrad, XMoEError, type Backend, type DType, type Engine,
  type ErrorCode, type FusedKernels, type Kernels, type RequiredKernels, type Tensor, type TensorTree,
} from '@xmoe/core';
import { expectTypeOf } from 'vitest';

declare const engine: Engine;
declare const x: Tensor;
declare const parameters: { layers: { w: Tensor; b: Tensor | null }[]; scale: Tensor };

// valueAndGrad keeps the tree of the parameters and the type of aux.
const result = valueAndGrad(engine, (p) => ({ loss: sum(p.scale), aux: { count: 3, names: ['a'] } }), parameters);
expectTypeOf(result.gradients).toEqualTypeOf<typeof parameters>();
expectTypeOf(result.aux).toEqualTypeOf<{ count: number; names: string[] }>();
expectTypeOf(result.loss).toEqualTypeOf<Tensor>();
expectTypeOf(valueAndGrad(engine, (p: Tensor) => sum(p), x).aux).toEqualTypeOf<undefined>();
expectTypeOf(grad(engine, ([a, b]) => sum(a ?? b), [x, x] as const)).toEqualTypeOf<readonly [Tensor, Tensor]>();
expectTypeOf(grad(engine, (p) => p['w']!, {} as Record<string, Tensor>)).toEqualTypeOf<Record<string, Tensor>>();
expectTypeOf<Record<string, Tensor>>().toExtend<TensorTree>();
// @ts-expect-error a loss is a tensor, not a number
grad(engine, () => 3, x);
// @ts-expect-error numbers are no leaves of a tree of parameters
grad(engine, () => x, { w: x, rate: 0.1 });

// Results keep their types through scopes, checkpoints and custom gradients.
expectTypeOf(engine.scope(() => ({ a: x, n: 1 }))).toEqualTypeOf<{ a: Tensor; n: number }>();
expectTypeOf(checkpoint(engine, (a) => [a!, 'label'] as const, [x])).toEqualTypeOf<readonly [Tensor, 'label']>();
expectTypeOf(customGradient('pair', [x], () => ({ outputs: [x, x] as const, saved: [] }), () => [null])).toEqualTypeOf<readonly [Tensor, Tensor]>();
expectTypeOf(customGradient('one', [x], () => ({ outputs: x, saved: [] }), ([dy]) => [dy!])).toEqualTypeOf<Tensor>();
expectTypeOf(topK(x, 2)).toHaveProperty('values').toEqualTypeOf<Tensor>();

// A backend has every required kernel; a fused one may be absent; the engine has all.
declare const required: RequiredKernels;
declare const others: Omit<Backend, 'kernels'>;
expectTypeOf<{ kernels: RequiredKernels } & typeof others>().toExtend<Backend>();
createEngine({ ...others, kernels: required });
const { matmul: _matmul, ...incomplete } = required;
// @ts-expect-error the kernel matmul is missing
createEngine({ ...others, kernels: incomplete });
// @ts-expect-error a kernel that takes other attributes is not that kernel
createEngine({ ...others, kernels: { ...required, fill: (_inputs: object, _outputs: object, _attributes: { colour: string }) => undefined } });
expectTypeOf(engine.kernels).toEqualTypeOf<Kernels>();
expectTypeOf(engine.backend.kernels.softmax).toEqualTypeOf<FusedKernels['softmax'] | undefined>();

// Operands go by name: none is taken for another.
engine.kernels.softmaxGrad({ y: x, dy: x }, { dx: x });
// @ts-expect-error positions say nothing
engine.kernels.softmaxGrad(x, x, x);
// @ts-expect-error softmaxGrad has no operand x
engine.kernels.softmaxGrad({ x, dy: x }, { dx: x });
// @ts-expect-error dx is an output
engine.kernels.softmaxGrad({ y: x, dx: x }, { dy: x });
// @ts-expect-error dy is missing
engine.kernels.softmaxGrad({ y: x }, { dx: x });
// @ts-expect-error an operand that may be left out is null, and said so
engine.kernels.biasActivation({ x, bias: x }, { out: x }, { activation: 'relu' });
// @ts-expect-error parameters are updated, not only read
engine.kernels.adamStep({ parameters: [x], gradients: [x], hyper: x }, { m: [x], v: [x] }, { decay: true });

// Names that do not exist are errors.
expectTypeOf<DType>().toEqualTypeOf<'float32' | 'float16' | 'int32' | 'uint32' | 'bool'>();
expectTypeOf<'numerics'>().toExtend<ErrorCode>();
// @ts-expect-error no such dtype
engine.zeros([2], 'float64');
// @ts-expect-error no such code
new XMoEError('oops', 'message');
// @ts-expect-error heads are required
attention(x, x, x, { causal: true });
// @ts-expect-error the shape of a tensor is fixed
x.shape[0] = 3;

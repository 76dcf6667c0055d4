// Element-wise kernels: one thread per element of the output.
import { sizeOf, type Kernels, type UnaryOp } from '@xmoe/core';
import { reads, wgslType, writes } from '../runtime/program.js';
import type { Runtime } from '../runtime/runtime.js';

/** WGSL of each op on `v`, an f32 (logicalNot: a u32). */
const UNARY: Record<UnaryOp, string> = {
  negate: '-v', abs: 'abs(v)', sign: 'sign(v)', exp: 'exp(v)', log: 'log(v)', sqrt: 'sqrt(v)', rsqrt: 'inverseSqrt(v)', square: 'v * v',
  reciprocal: '1 / v', tanh: 'tanh(v)', erf: 'erf(v)', sigmoid: '1 / (1 + exp(-v))', relu: 'max(v, 0)', sin: 'sin(v)', cos: 'cos(v)',
  floor: 'floor(v)', ceil: 'ceil(v)', logicalNot: '1u - v',
};

export function elementwiseKernels(runtime: Runtime) {
  return {
    fill(out, { value }) {
      const length = sizeOf(out.shape);
      // The value travels as an f32, which holds every float16 and bool; whole numbers have their own types.
      const type = out.dtype === 'int32' ? 'i32' : out.dtype === 'uint32' ? 'u32' : 'f32';
      const program = runtime.program(`fill ${out.dtype}`, () => ({
        buffers: { out: writes(out.dtype) },
        args: { length: 'u32', value: type },
        code: `fn element(i: u32) { out[i] = ${wgslType(out.dtype)}(args.value); }`,
        perElement: true,
      }));
      runtime.runElements(program, { out }, { value }, length);
    },
    unary(x, out, { op }) {
      const compute = x.dtype === 'float32' || x.dtype === 'float16' ? 'f32' : wgslType(x.dtype);
      const program = runtime.program(`unary ${op} ${x.dtype}`, () => ({
        buffers: { x: reads(x.dtype), out: writes(out.dtype) },
        args: { length: 'u32' },
        code: `fn element(i: u32) { let v = ${compute}(x[i]); out[i] = ${wgslType(out.dtype)}(${UNARY[op]}); }`,
        perElement: true,
      }));
      runtime.runElements(program, { x, out }, {}, sizeOf(out.shape));
    },
  } satisfies Partial<Kernels>;
}

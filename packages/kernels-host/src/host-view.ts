// What the kernels of this package work on: operands whose elements are arrays of the host. Where the arrays come from is the matter of the
// backend. No arithmetic.
import { XMoEError, type DType, type KernelInputs, type KernelName, type KernelOutputs, type Operand } from '@xmoe/core';

export type FloatArray = Float32Array | Float64Array;

/** Anything that a kernel can index. Kernels that move elements take float16 as its bit patterns; the others never see it. */
export type NumericArray = FloatArray | Int32Array | Uint32Array | Uint8Array | Uint16Array;

/** An operand with its elements: `shape` row-major over the whole of `data`. */
export interface HostView {
  readonly data: NumericArray;
  readonly shape: readonly number[];
  readonly dtype: DType;
}

type ViewOf<Field> = Field extends null ? null : Field extends readonly Operand[] ? readonly HostView[] : HostView;

/** The inputs of a primitive, each as a view. */
export type ViewInputs<Name extends KernelName> = { readonly [Key in keyof KernelInputs<Name>]: ViewOf<KernelInputs<Name>[Key]> };
/** The outputs of a primitive, or what it updates, each as a view. */
export type ViewOutputs<Name extends KernelName> = { readonly [Key in keyof KernelOutputs<Name>]: ViewOf<KernelOutputs<Name>[Key]> };

export function elements({ data }: HostView): NumericArray {
  return data;
}

/** The elements of a float32 view. Error `dtype` for any other. */
export function floats(view: HostView): FloatArray {
  if (view.data instanceof Float32Array || view.data instanceof Float64Array) return view.data;
  throw wrongDType(view, 'float32');
}

export function int32s(view: HostView): Int32Array {
  if (view.data instanceof Int32Array) return view.data;
  throw wrongDType(view, 'int32');
}

export function uint32s(view: HostView): Uint32Array {
  if (view.data instanceof Uint32Array) return view.data;
  throw wrongDType(view, 'uint32');
}

export function bools(view: HostView): Uint8Array {
  if (view.data instanceof Uint8Array) return view.data;
  throw wrongDType(view, 'bool');
}

function wrongDType(view: HostView, wanted: DType): XMoEError {
  return new XMoEError('dtype', `a kernel was given ${view.dtype} where it takes ${wanted}`, {
    hint: `cast the operand to ${wanted} first`,
  });
}

// What a conformance case is, and how one is declared. Not the runner.
import { sizeOf, type DType, type FloatDType, type KernelName, type Kernels, type Operand } from '@xmoe/core';
import type { DataGenerator } from './data.js';

export interface OperandSpec {
  readonly shape: readonly number[];
  readonly dtype: DType;
  /** `inout` is read and written in place. */
  readonly role: 'input' | 'output' | 'inout';
  /** Absent for outputs, which start as junk. */
  readonly data?: DataGenerator;
}

/** An output element passes when |actual − expected| ≤ absolute + relative·|expected|; `exact`: equal (−0 equals 0). */
export type Tolerance = 'exact' | { readonly relative: number; readonly absolute: number };

export interface ConformanceCase {
  readonly primitive: KernelName;
  /** Shapes and attributes in a few words; unique within the primitive and dtype. */
  readonly label: string;
  /** The dtype that the case is about. */
  readonly dtype: DType;
  readonly operands: Readonly<Record<string, OperandSpec>>;
  readonly tolerance: Tolerance;
  /** Makes inputs that depend on others (statistics, a probability) with the reference kernels, before anything runs. */
  prepare?(kernels: Kernels, operands: Readonly<Record<string, Operand>>): void;
  /** Calls the primitive, taken from `kernels`. */
  run(kernels: Partial<Kernels>, operands: Readonly<Record<string, Operand>>): void;
}

export interface CaseDefinition<K extends KernelName, Names extends string> {
  readonly label: string;
  readonly dtype?: DType;
  readonly operands: Readonly<Record<Names, OperandSpec>>;
  readonly tolerance?: Tolerance;
  prepare?(kernels: Kernels, operands: Readonly<Record<Names, Operand>>): void;
  run(kernel: Kernels[K], operands: Readonly<Record<Names, Operand>>): void;
}

/** Rounding of one value of the dtype, with room for another order of summation. */
const DEFAULT_TOLERANCE: Record<DType, Tolerance> = {
  float32: { relative: 1e-5, absolute: 2e-6 },
  float16: { relative: 2e-3, absolute: 1e-3 },
  int32: 'exact',
  uint32: 'exact',
  bool: 'exact',
};

/** A case of `primitive`. `dtype` defaults to float32, `tolerance` to that of the dtype. */
export function defineCase<K extends KernelName, Names extends string>(
  primitive: K,
  definition: CaseDefinition<K, Names>,
): ConformanceCase {
  const { label, dtype = 'float32', operands, prepare, run } = definition;
  return {
    primitive,
    label,
    dtype,
    operands,
    tolerance: definition.tolerance ?? DEFAULT_TOLERANCE[dtype],
    prepare: prepare as ConformanceCase['prepare'],
    run(kernels, given) {
      const kernel = kernels[primitive];
      if (kernel === undefined) throw new Error(`the backend has no kernel named ${primitive}`);
      run(kernel as Kernels[K], given as Record<Names, Operand>);
    },
  };
}

export function input(shape: readonly number[], dtype: DType, data: DataGenerator): OperandSpec {
  return { shape, dtype, role: 'input', data };
}

export function output(shape: readonly number[], dtype: DType): OperandSpec {
  return { shape, dtype, role: 'output' };
}

export function inout(shape: readonly number[], dtype: DType, data: DataGenerator): OperandSpec {
  return { shape, dtype, role: 'inout', data };
}

export const FLOATS: readonly FloatDType[] = ['float32', 'float16'];

/** Room for a sum of `terms` products of numbers up to 1 in float32, or what float16 storage leaves of it. */
export function sumTolerance(dtype: DType, terms: number): Tolerance {
  if (dtype === 'float16') return { relative: 2e-3, absolute: 1e-3 + 1e-6 * terms };
  return { relative: 1e-5, absolute: 2e-6 + 2e-7 * terms };
}

/** The elements of the largest operand. */
export function largestOperand(item: ConformanceCase): number {
  return Math.max(...Object.values(item.operands).map((spec) => sizeOf(spec.shape)));
}

/** `name [1, 2]` for labels. */
export function shapeLabel(...shapes: readonly (readonly number[])[]): string {
  return shapes.map((shape) => `[${shape.join(', ')}]`).join(' × ');
}

// What a gradient case is: a function of float tensors and the inputs to check it at. The tables are beside this file.
import type { Engine, Tensor } from '@xmoe/core';
import { gradientInput, type GradientInput } from '@xmoe/testing';

export interface GradientCase {
  readonly label: string;
  readonly fn: (inputs: readonly Tensor[], engine: Engine) => Tensor;
  readonly inputs: readonly GradientInput[];
}

/** Cases per op; 'no gradient' says that the op records nothing on purpose. */
export type CaseTable = Readonly<Record<string, readonly GradientCase[] | 'no gradient'>>;

export type InputSpec = readonly number[] | GradientInput;

/** A case; an input given as a shape is filled with normal numbers, differently for each position. */
export function gradientCase(label: string, fn: GradientCase['fn'], ...inputs: readonly InputSpec[]): GradientCase {
  return { label, fn, inputs: inputs.map((input, index) => ('data' in input ? input : gradientInput(input, 'normal', index + 1))) };
}

export const positive = (...shape: number[]): GradientInput => gradientInput(shape, 'positive', shape.length + 7);
export const apart = (...shape: number[]): GradientInput => gradientInput(shape, 'apart', shape.length + 11);
export const int32 = (engine: Engine, data: readonly number[], shape: readonly number[] = [data.length]): Tensor => engine.tensor(data, shape, 'int32');
export const bool = (engine: Engine, data: readonly number[], shape: readonly number[] = [data.length]): Tensor => engine.tensor(data, shape, 'bool');

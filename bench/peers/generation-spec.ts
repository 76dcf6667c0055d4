// What is generated beside the peers: the dense model's sizes, weights that every side can make, and the beginnings of the texts. It
// measures nothing.
import type { ParameterSpec, Shape } from '@xmoe/core';
import type { Contestant } from '../measure.js';
import { formulaValues } from './formula.js';

export interface LanguageModelShape {
  readonly vocabulary: number;
  readonly context: number;
  readonly width: number;
  readonly heads: number;
  readonly layers: number;
  readonly hidden: number;
}

/** `batch` texts of `prompt` tokens each go on by `tokens`, the likeliest ones. */
export interface GenerationWork {
  readonly batch: number;
  readonly prompt: number;
  readonly tokens: number;
}

export interface NamedValues {
  readonly name: string;
  readonly shape: Shape;
  readonly values: Float32Array;
}

/** A parameter as `formula` makes it; without a scale it is ones. */
export interface ParameterFormula {
  readonly name: string;
  readonly shape: Shape;
  readonly seed: number;
  readonly scale: number | null;
}

/** Biases that are zeros at first are not here: a peer that left one out would agree. */
const BIAS_SCALE = 0.05;

/** The standard deviation of a parameter's start, as that of the formula's even spread. */
export function parameterFormulas(specs: readonly ParameterSpec[]): ParameterFormula[] {
  return specs.map(({ name, shape, init }, index) => {
    const scale = init.kind === 'ones' ? null : init.kind === 'normal' ? init.std * Math.sqrt(12) : BIAS_SCALE;
    return { name, shape, seed: index + 1, scale };
  });
}

export function valuesOf({ name, shape, seed, scale }: ParameterFormula): NamedValues {
  const size = shape.reduce((product, extent) => product * extent, 1);
  return { name, shape, values: scale === null ? new Float32Array(size).fill(1) : formulaValues(size, seed, scale) };
}

/** Token `place` of text `row`. */
export const promptToken = (row: number, place: number, vocabulary: number): number => (10 + 31 * row + 7 * place) % vocabulary;

export interface PreparedGeneration {
  readonly contestant: Contestant;
  /** Logits of the last text after its beginning and one more token, which is read with the cache: {@link promptToken} as well. */
  readonly logits: readonly number[];
  dispose(): Promise<void>;
}

export interface GenerationPeer {
  readonly name: string;
  /** Version and threads, for the header. */
  readonly description: string;
  prepareGeneration(shape: LanguageModelShape, parameters: readonly ParameterFormula[], work: GenerationWork): Promise<PreparedGeneration>;
}

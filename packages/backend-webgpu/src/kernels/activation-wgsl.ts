// WGSL of the activations and their slopes, as functions that kernels put where they need them: in an epilogue, in a gradient.
// The definitions are those of the CPU kernels; large arguments do not overflow, and NaN stays NaN. Not kernels.
import type { Activation } from '@xmoe/core';
import { erfWgsl, type FloatWidth } from './math-wgsl.js';

/** The tanh form of GELU is x · sigmoid(2u) with u = √(2/π)·(x + 0.044715·x³). */
const TWICE = 1.5957691216057308;
const CUBIC = 0.044715;

/** `activate(v)` and `slope(v)`, its derivative (that of ReLU at 0 is 0), of one width. */
export function activationWgsl(activation: Activation, F: FloatWidth): string {
  // 1 or 0 far from 0, where products of the formula would be 0 · ∞.
  const farSlope = (near: string): string => `select(${near}, select(${F}(0), ${F}(1), v > ${F}(0)), abs(v) > ${F}(1e4))`;
  const value = `select(v, ${F}(-20), v < ${F}(-20)) * openness(v)`; // −∞ · 0 would be NaN; NaN itself stays
  switch (activation) {
    case 'none':
      return functions(F, 'v', `${F}(1)`);
    case 'relu':
      return functions(F, `select(v, ${F}(0), v < ${F}(0))`, `select(${F}(0), ${F}(1), v > ${F}(0))`);
    case 'gelu-tanh':
      return [
        `fn openness(v: ${F}) -> ${F} { return 1 / (1 + exp(min(v * (${-TWICE} - ${TWICE * CUBIC} * (v * v)), ${F}(80)))); }`,
        functions(F, value, farSlope(`openness(v) * (1 + v * (1 - openness(v)) * (${TWICE} + ${3 * TWICE * CUBIC} * (v * v)))`)),
      ].join('\n');
    case 'gelu-erf':
      return [
        erfWgsl(F),
        `fn openness(v: ${F}) -> ${F} { return 0.5 + 0.5 * erfOf(v * ${Math.SQRT1_2}); }`,
        functions(F, value, farSlope(`openness(v) + v * exp(-0.5 * (v * v)) * ${1 / Math.sqrt(2 * Math.PI)}`)),
      ].join('\n');
  }
}

function functions(F: FloatWidth, value: string, slope: string): string {
  return `fn activate(v: ${F}) -> ${F} { return ${value}; }\nfn slope(v: ${F}) -> ${F} { return ${slope}; }`;
}

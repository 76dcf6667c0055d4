// Cases of attention and attentionGrad: causal, padded, cross, cached, with dropout, and queries that see nothing.
import type { AttentionOptions, FloatDType, Operand } from '@xmoe/core';
import { defineCase, FLOATS, input, output, sumTolerance, type ConformanceCase, type OperandSpec } from '../case.js';
import { coin, cycle, replaced, uniform, words, type DataGenerator } from '../data.js';

interface Variant {
  readonly note: string;
  readonly B: number;
  readonly heads: number;
  readonly Tq: number;
  readonly Tk: number;
  readonly D: number;
  readonly causal?: boolean;
  readonly masked?: boolean;
  readonly dropoutRate?: number;
  /** Keys and values that the mask hides are NaN and ∞. */
  readonly hiddenIsNaN?: boolean;
  /** All of q, and of k but for steps that are exact in the scores; absent: uniform. */
  readonly common?: number;
}

const VARIANTS: readonly Variant[] = [
  { note: 'plain', B: 2, heads: 3, Tq: 7, Tk: 7, D: 5 },
  { note: 'causal', B: 2, heads: 2, Tq: 37, Tk: 37, D: 8, causal: true },
  { note: 'padded', B: 3, heads: 2, Tq: 5, Tk: 7, D: 4, masked: true },
  { note: 'causal with dropout', B: 1, heads: 2, Tq: 35, Tk: 35, D: 4, causal: true, dropoutRate: 0.3 },
  { note: 'more queries than keys, everything', B: 2, heads: 2, Tq: 37, Tk: 34, D: 16, causal: true, masked: true, dropoutRate: 0.2 },
];

const MORE: readonly Variant[] = [
  { note: 'all at once', B: 2, heads: 2, Tq: 9, Tk: 13, D: 3, causal: true, masked: true, dropoutRate: 0.1 },
  { note: 'cached', B: 1, heads: 2, Tq: 1, Tk: 13, D: 4, causal: true },
  { note: 'more queries than keys', B: 1, heads: 2, Tq: 7, Tk: 3, D: 4, causal: true },
  { note: 'one', B: 1, heads: 1, Tq: 1, Tk: 1, D: 1 },
  { note: 'no queries', B: 1, heads: 2, Tq: 0, Tk: 3, D: 4 },
  { note: 'no keys', B: 1, heads: 2, Tq: 3, Tk: 0, D: 4 },
  { note: 'longer', B: 1, heads: 1, Tq: 131, Tk: 131, D: 16, causal: true },
  { note: 'wide', B: 2, heads: 1, Tq: 9, Tk: 12, D: 128, causal: true, masked: true, dropoutRate: 0.2 },
  { note: 'odd and wide', B: 1, heads: 2, Tq: 5, Tk: 7, D: 35, dropoutRate: 0.2 },
  { note: 'scores near 4e6', B: 2, heads: 1, Tq: 21, Tk: 21, D: 16, causal: true, common: 1024 },
  { note: 'scores near 7e7', B: 1, heads: 2, Tq: 5, Tk: 9, D: 16, masked: true, common: 4096 },
  { note: 'scores near 3e7', B: 1, heads: 1, Tq: 19, Tk: 19, D: 64, common: 2048 },
  { note: 'NaN behind the mask', B: 2, heads: 2, Tq: 7, Tk: 13, D: 8, masked: true, dropoutRate: 0.1, hiddenIsNaN: true },
  { note: 'NaN behind the mask, odd', B: 2, heads: 1, Tq: 5, Tk: 7, D: 3, causal: true, masked: true, hiddenIsNaN: true },
  { note: 'one query', B: 3, heads: 2, Tq: 1, Tk: 21, D: 24, masked: true },
  { note: 'one query, NaN behind the mask', B: 3, heads: 2, Tq: 1, Tk: 13, D: 16, masked: true, hiddenIsNaN: true },
  { note: 'many heads', B: 257, heads: 2, Tq: 3, Tk: 5, D: 2, masked: true },
];

function variantsOf(dtype: FloatDType): readonly Variant[] {
  return dtype === 'float16' ? VARIANTS : [...VARIANTS, ...MORE];
}

function optionsOf({ heads, D, causal = false, dropoutRate = 0 }: Variant): AttentionOptions {
  return { heads, causal, scale: 1 / Math.sqrt(D), dropoutRate, stream: 17 };
}

function labelOf({ note, B, heads, Tq, Tk, D }: Variant): string {
  return `${note} [${B}·${heads}, ${Tq} × ${Tk}, ${D}]`;
}

/** In a mask the second batch row sees no key at all. */
function inputsOf(variant: Variant, dtype: FloatDType): Record<string, OperandSpec> {
  const { B, heads, Tq, Tk, D, masked, dropoutRate, common } = variant;
  const hidden = replaced(coin(0.6), 0, (index) => index >= Tk && index < 2 * Tk);
  const keys = common === undefined ? uniform(-2, 2) : steppedKeys(common, D);
  const spoilt = (data: DataGenerator, value: number): DataGenerator => (variant.hiddenIsNaN ? replaced(data, value, (index) => isHidden(variant, index)) : data);
  return {
    q: input([B * heads, Tq, D], dtype, common === undefined ? uniform(-2, 2) : cycle(common)),
    k: input([B * heads, Tk, D], dtype, spoilt(keys, NaN)),
    v: input([B * heads, Tk, D], dtype, spoilt(uniform(-1, 1), Infinity)),
    ...(masked ? { keyMask: input([B, Tk], 'bool', variant.hiddenIsNaN ? thirds(variant) : hidden) } : {}),
    ...(dropoutRate === undefined ? {} : { key: input([2], 'uint32', words) }),
  };
}

/** A mask that hides every third key, and all of the second batch row; whether it hides what an element of k or v belongs to. */
const thirds = ({ Tk }: Variant): DataGenerator => replaced(cycle(0, 1, 1), 0, (index) => index >= Tk && index < 2 * Tk);

function isHidden({ heads, Tk, D }: Variant, element: number): boolean {
  const row = Math.floor(element / D);
  const batch = Math.floor(row / (heads * Tk));
  return batch === 1 || (batch * Tk + (row % Tk)) % 3 === 0;
}

/** Keys whose first component, and so whose score, differs by 0, 1 or 2 steps of the spacing of floats at the scores. */
function steppedKeys(common: number, D: number): DataGenerator {
  return (length) => new Float64Array(length).map((_, index) => common + (index % D === 0 ? ((index / D) % 3) / 128 : 0));
}

function orNull(operands: Readonly<Record<string, Operand>>, name: string): Operand | null {
  return operands[name] ?? null;
}

export const attention: readonly ConformanceCase[] = FLOATS.flatMap((dtype) =>
  variantsOf(dtype).map((variant) => {
    const { B, heads, Tq, D } = variant;
    const operands: Record<string, OperandSpec> = {
      ...inputsOf(variant, dtype),
      out: output([B * heads, Tq, D], dtype),
      stats: output([B * heads, Tq, 2], 'float32'),
    };
    return defineCase('attention', {
      label: labelOf(variant),
      dtype,
      operands,
      tolerance: sumTolerance(dtype, 20),
      run: (kernel, o) =>
        kernel({ q: o.q, k: o.k, v: o.v, keyMask: orNull(o, 'keyMask'), key: orNull(o, 'key') }, { out: o.out, stats: o.stats }, optionsOf(variant)),
    });
  }),
);

export const attentionGrad: readonly ConformanceCase[] = FLOATS.flatMap((dtype) =>
  variantsOf(dtype).map((variant) => {
    const { B, heads, Tq, Tk, D } = variant;
    const [queries, keys] = [[B * heads, Tq, D], [B * heads, Tk, D]];
    const operands: Record<string, OperandSpec> = {
      ...inputsOf(variant, dtype),
      out: input(queries, dtype, uniform(-1, 1)),
      stats: input([B * heads, Tq, 2], 'float32', uniform(0, 1)),
      dout: input(queries, dtype, uniform(-1, 1)),
      dq: output(queries, dtype),
      dk: output(keys, dtype),
      dv: output(keys, dtype),
    };
    return defineCase('attentionGrad', {
      label: labelOf(variant),
      dtype,
      operands,
      // A sum of gradients that cancel, times large keys.
      tolerance: dtype === 'float16' ? { relative: 1e-2, absolute: 8e-3 } : { relative: 2e-5, absolute: 2e-5 + 5e-8 * (variant.common ?? 0) },
      prepare: (kernels, o) =>
        kernels.attention(
          { q: o.q, k: o.k, v: o.v, keyMask: orNull(o, 'keyMask'), key: orNull(o, 'key') },
          { out: o.out, stats: o.stats }, optionsOf(variant),
        ),
      run: (kernel, o) =>
        kernel(
          { q: o.q, k: o.k, v: o.v, keyMask: orNull(o, 'keyMask'), key: orNull(o, 'key'), out: o.out, stats: o.stats, dout: o.dout }, { dq: o.dq, dk: o.dk, dv: o.dv }, optionsOf(variant),
        ),
    });
  }),
);

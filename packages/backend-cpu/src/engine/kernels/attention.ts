// attention and its gradient on the compiled kernels, for head sizes that are multiples of 8. Other sizes stay plain.
import type { AttentionOptions, Kernels, Operand } from '@xmoe/core';
import type { WasmRuntime } from '../runtime.js';
import { grainOf } from './grain.js';

/** Query rows of one work item, and the most keys whose scores for them fit a thread's scratch twice: assembly/attention.ts. */
const BLOCK = 16;
const LONGEST = 4096;
const LARGEST_HEAD = 256;

interface Plan {
  readonly heads: number;
  readonly Tq: number;
  readonly Tk: number;
  readonly D: number;
  /** Keys with the padding to whole panels. */
  readonly padded: number;
}

/** Where a library multiplies: query rows of one work item at most, the scores of an item, and from how many queries, and keys each way, it pays. */
const LIBRARY_ROWS = 64;
const LIBRARY_SCORES = 98304;
const LIBRARY_QUERIES = 32;
const LIBRARY_KEYS = { forward: 192, backward: 64 };

/** Rows of a block for a library, or 0 where it does not pay. By the shape alone, as in blocks.ts. */
function libraryRows({ byLibrary }: WasmRuntime, { Tq, Tk, padded }: Plan, way: keyof typeof LIBRARY_KEYS): number {
  if (!byLibrary || Tq < LIBRARY_QUERIES || Tk < LIBRARY_KEYS[way]) return 0;
  return Math.min(LIBRARY_ROWS, Tq, Math.floor(LIBRARY_SCORES / padded / 8) * 8);
}

/** Undefined where the compiled kernels do not apply. */
function planOf(q: Operand, k: Operand): Plan | undefined {
  const [heads, Tq, D] = q.shape;
  const Tk = k.shape[1];
  if (D % 8 !== 0 || D > LARGEST_HEAD || D * Tk === 0 || Tk > LONGEST) return undefined;
  return { heads, Tq, Tk, D, padded: Math.ceil(Tk / 8) * 8 };
}

/** The numbers at the end of the arguments of the kernels. */
function optionsOf({ Tq, Tk, D }: Plan, { heads, causal, scale, stream, dropoutRate }: AttentionOptions): number[] {
  return [heads, Tq, Tk, D, Number(causal), scale, stream, dropoutRate, 1 / (1 - dropoutRate)];
}

export function createAttention(runtime: WasmRuntime, plain: Kernels): Pick<Kernels, 'attention' | 'attentionGrad'> {
  const { pointer } = runtime;

  function pack(rows: number, { heads, Tk, D, padded }: Plan): number {
    const panels = runtime.scratch(4 * heads * padded * D);
    runtime.parallel('packPanels', (heads * padded) / 8, grainOf(16 * D), [rows, panels, Tk, D]);
    return panels;
  }

  /** The address of keys or values as queries see them: a copy where what they must not see could reach them. */
  function seenRows(x: Operand, keyMask: Operand | null, { heads, Tk, D }: Plan, perBatch: number): number {
    if (keyMask === null || runtime.call('hidesFinite', pointer(x), pointer(keyMask), heads, perBatch, Tk, D) !== 0) return pointer(x);
    const rows = runtime.scratch(4 * heads * Tk * D);
    runtime.parallel('seenRows', heads * Tk, grainOf(D), [pointer(x), pointer(keyMask), rows, perBatch, Tk, D]);
    return rows;
  }

  return {
    attention({ q, k, v, keyMask, key }, { out, stats }, attributes) {
      const plan = planOf(q, k);
      if (plan === undefined) return plain.attention({ q, k, v, keyMask, key }, { out, stats }, attributes);
      const { heads, Tq, Tk, D } = plan;
      const dropKey = key === null || attributes.dropoutRate === 0 ? 0 : pointer(key);
      const [mask, results] = [keyMask === null ? 0 : pointer(keyMask), [pointer(out), pointer(stats)]];
      if (Tq === 1 && dropKey === 0) {
        return runtime.parallel('attentionOfOne', heads, grainOf((Tk * D) / 2), [pointer(q), pointer(k), pointer(v), mask, ...results, attributes.heads, Tk, D, attributes.scale]);
      }
      const values = seenRows(v, keyMask, plan, attributes.heads);
      const rows = libraryRows(runtime, plan, 'forward');
      if (rows > 0) {
        return runtime.parallel('attentionByLibrary', heads * Math.ceil(Tq / rows), grainOf(rows * Tk * (D / 8 + 4)), [
          pointer(q), pointer(k), values, mask, dropKey, ...results, rows, ...optionsOf(plan, attributes),
        ]);
      }
      runtime.parallel('attention', heads * Math.ceil(Tq / BLOCK), grainOf(BLOCK * Tk * (D / 4 + 4)), [
        pointer(q), pack(pointer(k), plan), values, mask, dropKey, ...results, ...optionsOf(plan, attributes),
      ]);
    },

    attentionGrad({ q, k, v, keyMask, key, out, stats, dout }, { dq, dk, dv }, attributes) {
      const plan = planOf(q, k);
      if (plan === undefined) return plain.attentionGrad({ q, k, v, keyMask, key, out, stats, dout }, { dq, dk, dv }, attributes);
      const dropKey = key === null || attributes.dropoutRate === 0 ? 0 : pointer(key);
      const [keys, values] = [k, v].map((x) => seenRows(x, keyMask, plan, attributes.heads));
      const rows = libraryRows(runtime, plan, 'backward');
      if (rows > 0) {
        return runtime.parallel('attentionGradByLibrary', plan.heads, 1, [
          pointer(q), keys, values, keyMask === null ? 0 : pointer(keyMask), dropKey, pointer(out), pointer(stats), pointer(dout), pointer(dq), pointer(dk), pointer(dv), rows,
          ...optionsOf(plan, attributes),
        ]);
      }
      runtime.parallel('attentionGrad', plan.heads, 1, [
        pointer(q), keys, pack(keys, plan), pack(values, plan), keyMask === null ? 0 : pointer(keyMask), dropKey, pointer(out), pointer(stats),
        pointer(dout), pointer(dq), pointer(dk), pointer(dv), ...optionsOf(plan, attributes),
      ]);
    },
  };
}

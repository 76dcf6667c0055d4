// attention and its gradient without [Tq, Tk] in storage: the launches. The WGSL is in the files named after them.
import type { AttentionOptions, Kernels, Operand } from '@xmoe/core';
import { reads, writes } from '../runtime/program.js';
import type { CompiledProgram } from '../runtime/pipelines.js';
import type { Runtime } from '../runtime/runtime.js';
import { keyGradCode, numbersCode, queryGradCode } from './attention-backward-wgsl.js';
import { attentionCode, type AttentionVariant } from './attention-forward-wgsl.js';
import { headType, tileHead, type HeadTiling } from './attention-wgsl.js';
import { dropBits } from './math-wgsl.js';
import { planRows, ROW_ARGS, rowGroups, rowWindows, unitType } from './rows.js';

const ARGS = {
  queries: 'u32', keys: 'u32', heads: 'u32', first: 'u32', blocks: 'u32', groups: 'u32', reach: 'i32', scale: 'f32',
  stream: 'u32', dropBelow: 'u32', boost: 'f32',
} as const;

export function attentionKernels(runtime: Runtime) {
  return {
    attention({ q, k, v, keyMask, key }, { out, stats }, options) {
      const variant = variantOf(q, k, keyMask, key, options);
      const tiling = tileHead(q.shape[2]!, q.shape[1]!, 2, 1);
      const type = headType(tiling, q.dtype);
      const program = runtime.program(`attention ${labelOf(variant)} head of ${tiling.D} × ${tiling.threads}`, () => ({
        buffers: {
          q: reads(type), k: reads(type), v: reads(type), ...(variant.masked ? { keyMask: reads('bool') } : {}),
          ...(variant.dropout ? { key: reads('u32') } : {}), out: writes(type), stats: writes('vec2<f32>'),
        },
        args: ARGS,
        code: attentionCode(tiling, variant),
      }));
      const whole = { ...(keyMask && { keyMask }), ...(variant.dropout && key ? { key } : {}) };
      launch(runtime, program, tiling, 'q', { q, k, v, out, stats }, whole, options);
    },
    attentionGrad({ q, k, v, keyMask, key, out, stats, dout }, { dq, dk, dv }, options) {
      const variant = variantOf(q, k, keyMask, key, options);
      const numbers = queryNumbers(runtime, out, stats, dout, variant.dropout ? key : null);
      // A lane of the first holds rows of q, dout and dq; of the second rows of k, v, dk and dv.
      for (const [side, held, outs] of [['q', 3, { dq }], ['k', 4, { dk, dv }]] as const) {
        const tiling = tileHead(q.shape[2]!, (side === 'q' ? q : k).shape[1]!, held, 2);
        const type = headType(tiling, q.dtype);
        const program = runtime.program(`attentionGrad ${Object.keys(outs).join(' ')} ${labelOf(variant)} head of ${tiling.D} × ${tiling.threads}`, () => ({
          buffers: {
            q: reads(type), k: reads(type), v: reads(type), ...(variant.masked ? { keyMask: reads('bool') } : {}), numbers: reads('vec4<u32>'),
            dout: reads(type), ...Object.fromEntries(Object.keys(outs).map((name) => [name, writes(type)])),
          },
          args: ARGS,
          code: side === 'q' ? queryGradCode(tiling, variant) : keyGradCode(tiling, variant),
        }));
        launch(runtime, program, tiling, side, { q, k, v, numbers, dout, ...outs }, keyMask === null ? {} : { keyMask }, options);
      }
    },
  } satisfies Partial<Kernels>;
}

function variantOf(q: Operand, k: Operand, keyMask: Operand | null, key: Operand | null, { dropoutRate }: AttentionOptions): AttentionVariant {
  const dropout = key !== null && dropoutRate > 0;
  return { dtype: q.dtype, masked: keyMask !== null, dropout, evenKeys: k.shape[1]! % 2 === 0 };
}

function labelOf({ dtype, masked, dropout, evenKeys }: AttentionVariant): string {
  const parts = [dtype, masked && 'masked', dropout && `dropout${evenKeys ? ' in pairs' : ''}`];
  return parts.filter(Boolean).join(' ');
}

/** uint32 [B·heads, 1 + Tq, 4]: see numbersCode. */
function queryNumbers(runtime: Runtime, out: Operand, stats: Operand, dout: Operand, key: Operand | null): Operand {
  const [batch, queries, D] = out.shape as [number, number, number];
  const plan = planRows(D);
  const type = unitType(plan, out.dtype);
  const numbers = runtime.scratch('uint32', [batch, 1 + queries, 4]);
  const program = runtime.program(`attentionGrad delta ${out.dtype}${key ? ' dropout' : ''} ${plan.label}`, () => ({
    buffers: { out: reads(type), dout: reads(type), stats: reads('vec2<f32>'), ...(key ? { key: reads('u32') } : {}), numbers: writes('vec4<u32>') },
    args: { ...ROW_ARGS, queries: 'u32' },
    code: numbersCode(plan, key !== null),
  }));
  for (const { rows: heads, buffers } of rowWindows(runtime, { out, dout, stats, numbers })) {
    const rows = heads * queries;
    runtime.run(program, { ...buffers, ...(key && { key }) }, { rows, units: plan.units, first: 0, queries }, runtime.fold(rowGroups(plan, rows)));
  }
  return numbers;
}

/** Launches a program over the blocks of queries, or of keys, of all heads; `perHead` operands are [B·heads, …]. */
function launch(
  runtime: Runtime, program: CompiledProgram, tiling: HeadTiling, side: 'q' | 'k',
  perHead: Readonly<Record<'q' | 'k', Operand> & Record<string, Operand>>, whole: Readonly<Record<string, Operand>>, options: AttentionOptions,
): void {
  const [queries, keys] = [perHead.q.shape[1]!, perHead.k.shape[1]!];
  const blocks = Math.ceil((side === 'q' ? queries : keys) / tiling.rows);
  const { heads, scale, stream, dropoutRate, causal } = options;
  // The last key that query i sees is i + reach; without causality all keys are within it.
  const reach = causal ? keys - queries : keys;
  // Per head, of three or four products of queries and keys, half of which causality hides.
  const flops = (causal ? 3 : 7) * queries * keys * perHead.q.shape[2]!;
  for (const { first, rows, buffers } of rowWindows(runtime, perHead)) {
    const groups = rows * blocks;
    const args = {
      queries, keys, heads, first, blocks, groups, reach, scale, stream,
      dropBelow: dropBits(dropoutRate), boost: 1 / (1 - dropoutRate),
    };
    runtime.run(program, { ...buffers, ...whole }, args, runtime.fold(groups), rows * flops);
  }
}

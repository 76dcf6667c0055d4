// attention and its gradient without [Tq, Tk] in storage: the launches. The WGSL is in the files named after them.
import type { AttentionOptions, Kernels, Operand } from '@xmoe/core';
import { reads, writes, type BufferType, type ProgramSpec } from '../runtime/program.js';
import type { CompiledProgram } from '../runtime/pipelines.js';
import type { Runtime } from '../runtime/runtime.js';
import { keyGradCode, numbersCode, queryGradCode } from './attention-backward-wgsl.js';
import { attentionCode, type AttentionVariant } from './attention-forward-wgsl.js';
import { matrixKeyGradCode, matrixQueryGradCode } from './attention-matrix-backward-wgsl.js';
import { matrixAttentionCode } from './attention-matrix-forward-wgsl.js';
import { matrixHeads, type AttentionPass, type MatrixHead } from './attention-matrix-wgsl.js';
import { headType, tileHead, type HeadTiling } from './attention-wgsl.js';
import { dropBits } from './math-wgsl.js';
import { planRows, ROW_ARGS, rowGroups, rowWindows, unitType } from './rows.js';
import type { Tilings } from './tiles/tilings.js';

const ARGS = {
  queries: 'u32', keys: 'u32', heads: 'u32', first: 'u32', blocks: 'u32', groups: 'u32', reach: 'i32', scale: 'f32',
  stream: 'u32', dropBelow: 'u32', boost: 'f32', tileK: 'u32',
} as const;

export function attentionKernels(runtime: Runtime, tilings: Pick<Tilings, 'attention'>) {
  /** By matrices where there are any for it. */
  const formOf = (pass: AttentionPass, q: Operand, k: Operand, variant: AttentionVariant): Form => {
    const matrices = q.dtype === 'float16' ? tilings.attention : undefined;
    const heads = matrices && matrixHeads(matrices, q.shape[2]!, runtime.traits);
    return heads ? matrixForm(pass, heads[pass], variant) : plainForm(pass, q, k, variant);
  };
  return {
    attention({ q, k, v, keyMask, key }, { out, stats }, options) {
      const variant = variantOf(q, k, keyMask, key, options);
      const form = formOf('forward', q, k, variant);
      const { loads, stores } = form;
      const program = runtime.program(`attention ${labelOf(variant)} head of ${form.label}`, () => ({
        buffers: {
          q: reads(loads), k: reads(loads), v: reads(loads), ...(variant.masked ? { keyMask: reads('bool') } : {}),
          ...(variant.dropout ? { key: reads('u32') } : {}), out: writes(stores), stats: writes('vec2<f32>'),
        },
        args: ARGS,
        ...form.code(),
      }));
      const whole = { ...(keyMask && { keyMask }), ...(variant.dropout && key ? { key } : {}) };
      launch(runtime, program, form, 'q', { q, k, v, out, stats }, whole, options);
    },
    attentionGrad({ q, k, v, keyMask, key, out, stats, dout }, { dq, dk, dv }, options) {
      const variant = variantOf(q, k, keyMask, key, options);
      const numbers = queryNumbers(runtime, out, stats, dout, variant.dropout ? key : null);
      for (const [side, pass, outs] of [['q', 'queries', { dq }], ['k', 'keys', { dk, dv }]] as const) {
        const form = formOf(pass, q, k, variant);
        const { loads, stores } = form;
        const program = runtime.program(`attentionGrad ${Object.keys(outs).join(' ')} ${labelOf(variant)} head of ${form.label}`, () => ({
          buffers: {
            q: reads(loads), k: reads(loads), v: reads(loads), ...(variant.masked ? { keyMask: reads('bool') } : {}), numbers: reads('vec4<u32>'),
            dout: reads(loads), ...Object.fromEntries(Object.keys(outs).map((name) => [name, writes(stores)])),
          },
          args: ARGS,
          ...form.code(),
        }));
        launch(runtime, program, form, side, { q, k, v, numbers, dout, ...outs }, keyMask === null ? {} : { keyMask }, options);
      }
    },
  } satisfies Partial<Kernels>;
}

/** A way to compute one of the passes. */
interface Form {
  /** Rows of a workgroup on its own side, and of a block of the other. */
  readonly rows: number;
  readonly block: number;
  /** What tells programs apart, beside their variants. */
  readonly label: string;
  readonly loads: BufferType;
  readonly stores: BufferType;
  code(): Pick<ProgramSpec, 'code' | 'enable' | 'directives'>;
}

function plainForm(pass: AttentionPass, q: Operand, k: Operand, variant: AttentionVariant): Form {
  // A lane holds rows of q and out; of q, dout and dq; or of k, v, dk and dv.
  const [side, held, scores] = ({ forward: [q, 2, 1], queries: [q, 3, 2], keys: [k, 4, 2] } as const)[pass];
  const tiling: HeadTiling = tileHead(q.shape[2]!, side.shape[1]!, held, scores);
  const type = headType(tiling, q.dtype);
  const make = { forward: attentionCode, queries: queryGradCode, keys: keyGradCode }[pass];
  return { rows: tiling.rows, block: tiling.block, label: `${tiling.D} × ${tiling.threads}`, loads: type, stores: type, code: () => ({ code: make(tiling, variant) }) };
}

function matrixForm(pass: AttentionPass, head: MatrixHead, variant: AttentionVariant): Form {
  const { D, rows, block, side, subgroupSize, dialect: { enable, directives } } = head;
  const make = { forward: matrixAttentionCode, queries: matrixQueryGradCode, keys: matrixKeyGradCode }[pass];
  return {
    rows, block, label: `${D} in matrices of ${side} by ${subgroupSize} lanes, ${rows} × ${block}`, loads: 'vec4<u32>', stores: 'vec4<f16>',
    code: () => ({ enable, directives, code: make(head, variant) }),
  };
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
  runtime: Runtime, program: CompiledProgram, form: Form, side: 'q' | 'k',
  perHead: Readonly<Record<'q' | 'k', Operand> & Record<string, Operand>>, whole: Readonly<Record<string, Operand>>, options: AttentionOptions,
): void {
  const [queries, keys] = [perHead.q.shape[1]!, perHead.k.shape[1]!];
  const blocks = Math.ceil((side === 'q' ? queries : keys) / form.rows);
  const { heads, scale, stream, dropoutRate, causal } = options;
  // The last key that query i sees is i + reach; without causality all keys are within it.
  const reach = causal ? keys - queries : keys;
  // Per head, of three or four products of queries and keys, half of which causality hides.
  const flops = (causal ? 3 : 7) * queries * keys * perHead.q.shape[2]!;
  for (const { first, rows, buffers } of rowWindows(runtime, perHead)) {
    const groups = rows * blocks;
    const args = {
      queries, keys, heads, first, blocks, groups, reach, scale, stream,
      dropBelow: dropBits(dropoutRate), boost: 1 / (1 - dropoutRate), tileK: form.block,
    };
    runtime.run(program, { ...buffers, ...whole }, args, runtime.fold(groups), rows * flops);
  }
}

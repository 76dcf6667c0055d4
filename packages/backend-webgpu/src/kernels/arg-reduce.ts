// argReduce: the lowest index of the extreme. Elements become integers that order as they do, so that neither NaN nor infinities
// need a comparison of floats.
import { type Kernels } from '@xmoe/core';
import { wgslType, type ProgramSpec } from '../runtime/program.js';
import type { Runtime } from '../runtime/runtime.js';
import { isNanWgsl, orderWgsl } from './math-wgsl.js';
import { asRows, rowWindows } from './rows.js';

const GROUP = 256;

interface ArgVariant {
  readonly from: string;
  readonly op: 'max' | 'min';
  /** Whether the threads of one result read neighbours (inner = 1); else results are neighbours. */
  readonly alongRows: boolean;
  /** Threads of one result. */
  readonly team: number;
}

export function argReduceKernel(runtime: Runtime) {
  return {
    argReduce({ x }, { out }, { outer, size, inner, op }) {
      const alongRows = inner === 1;
      const team = size < 16 ? 1 : size < 128 ? 8 : size < 1024 ? 32 : GROUP;
      const variant: ArgVariant = { from: wgslType(x.dtype), op, alongRows, team };
      const program = runtime.program(`argReduce ${op} ${x.dtype} ${alongRows ? 'rows' : 'columns'} ${team}`, () => argReduceSpec(variant));
      for (const { rows, buffers } of rowWindows(runtime, { x: asRows(x, outer, size * inner), out: asRows(out, outer, inner) })) {
        const length = rows * inner;
        runtime.run(program, buffers, { length, size, inner }, runtime.fold(Math.ceil((length * team) / GROUP)));
      }
    },
  } satisfies Partial<Kernels>;
}

function argReduceSpec({ from, op, alongRows, team }: ArgVariant): ProgramSpec {
  const width = GROUP / team;
  const [place, column] = alongRows ? [`lane % ${team}`, `lane / ${team}`] : [`lane / ${width}`, `lane % ${width}`];
  const stride = alongRows ? 1 : width;
  const integers = from === 'i32';
  // NaN is the extreme only of nothing else.
  const order = op === 'max' || integers ? '' : '-';
  const keyOf = integers
    ? `fn keyOf(v: i32) -> i32 { return ${op === 'max' ? 'v' : '~v'}; }`
    : `${isNanWgsl('f32')}\n${orderWgsl('f32')}\nfn keyOf(v: f32) -> i32 { return select(${order}orderOf(v), -0x7fffffff - 1, isNan(v)); }`;
  return {
    buffers: { x: { access: 'read', type: from }, out: { access: 'write', type: 'i32' } },
    args: { length: 'u32', size: 'u32', inner: 'u32' },
    code: `
${keyOf}
var<workgroup> keys: array<i32, ${GROUP}>;
var<workgroup> indices: array<u32, ${GROUP}>;

@compute @workgroup_size(${GROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let result = (group.y * groups.x + group.x) * ${width} + ${column};
  let place = ${place};
  var best = -0x7fffffff - 1;
  var at = 0xffffffffu;
  if (result < args.length) {
    let base = result / args.inner * args.size * args.inner + result % args.inner;
    for (var index = place; index < args.size; index += ${team}) {
      let key = keyOf(${integers ? '' : 'f32'}(x[base + index * args.inner]));
      if (key > best || at == 0xffffffffu) { best = key; at = index; }
    }
  }
${team > 1 ? `
  keys[lane] = best;
  indices[lane] = at;
  workgroupBarrier();
  for (var half = ${team / 2}u; half > 0; half /= 2) {
    if (place < half) {
      let other = lane + half * ${stride};
      // A thread without elements has the largest index.
      if (indices[other] != 0xffffffffu && (keys[other] > best || (keys[other] == best && indices[other] < at))) { best = keys[other]; at = indices[other]; }
      keys[lane] = best;
      indices[lane] = at;
    }
    workgroupBarrier();
  }` : ''}
  if (result < args.length && place == 0) { out[result] = i32(at); }
}`,
  };
}

// Cross-entropy over one chunk of the vocabulary: its statistics per row in one walk over the logits, and the gradient of these.
import type { Kernels } from '@xmoe/core';
import { reads, writes } from '../runtime/program.js';
import type { Runtime } from '../runtime/runtime.js';
import { eachUnit, LOWEST, rowMain, rowReduction } from './rows-wgsl.js';
import { planRows, ROW_ARGS, runRows, unitType, type RowPlan } from './rows.js';

export function crossEntropyKernels(runtime: Runtime) {
  return {
    crossEntropyStats(logits, targets, lse, picked, total, { offset }) {
      const plan = walkedPlan(logits.shape[1]!);
      const program = runtime.program(`crossEntropyStats ${logits.dtype} ${plan.label}`, () => ({
        buffers: { logits: reads(unitType(plan, logits.dtype)), targets: reads('i32'), lse: writes('f32'), picked: writes('f32'), total: writes('f32') },
        args: { ...ROW_ARGS, offset: 'i32' },
        code: statsCode(plan),
      }));
      runRows(runtime, program, plan, { logits, targets, lse, picked, total }, {}, { offset });
    },
    crossEntropyGrad(logits, targets, lse, scale, dlogits, { offset, labelSmoothing, vocabulary }) {
      const plan = walkedPlan(logits.shape[1]!);
      const type = unitType(plan, logits.dtype);
      const program = runtime.program(`crossEntropyGrad ${logits.dtype} ${plan.label}`, () => ({
        buffers: { logits: reads(type), targets: reads('i32'), lse: reads('f32'), scale: reads('f32'), dlogits: writes(type) },
        args: { ...ROW_ARGS, offset: 'i32', evenly: 'f32', certain: 'f32' },
        code: gradCode(plan, type),
      }));
      const args = { offset, evenly: labelSmoothing / vocabulary, certain: 1 - labelSmoothing };
      runRows(runtime, program, plan, { logits, dlogits, targets, lse, scale }, {}, args);
    },
  } satisfies Partial<Kernels>;
}

/** Each logit is needed once: nothing is held. */
function walkedPlan(columns: number): RowPlan {
  const plan = planRows(columns);
  return { ...plan, held: 0, label: `${plan.F} × ${plan.lanes}` };
}

/** (peak, Σ exp(x − peak)) of two parts of a row; the third component is a plain sum. */
const MERGE = `
fn merge(a: vec3f, b: vec3f) -> vec3f {
  let peak = max(a.x, b.x);
  return vec3f(peak, a.y * exp(a.x - peak) + b.y * exp(b.x - peak), a.z + b.z);
}`.trim();

/** The running sum is rescaled whenever a larger logit comes (Milakov and Gimelshein 2018). */
function statsCode(plan: RowPlan): string {
  const picked = plan.F === 'f32' ? 'V(logits[begin + u])' : 'V(logits[begin + u / 4u])[u % 4u]';
  const columns = plan.F === 'f32' ? 'args.units' : '4u * args.units';
  return [MERGE, rowReduction(plan, 'rowMerge', 'vec3f', (a, b) => `merge(${a}, ${b})`), rowMain(plan, `
  var part = vec3f(${LOWEST}, 0.0, 0.0);
  ${eachUnit(plan, `
    let x = V(logits[begin + u]);
    let peak = max(part.x, maxOf(x));
    part = vec3f(peak, part.y * exp(part.x - peak) + sumOf(exp(x - peak)), part.z + sumOf(x));`)}
  let merged = rowMerge(lane, part);
  if (live && place == 0u) {
    // The log of nothing is low, and finite: a chunk without a finite logit adds nothing to the others.
    lse[row] = select(merged.x + log(merged.y), ${LOWEST}, merged.y == 0.0);
    total[row] = merged.z;
    let u = u32(targets[row] - args.offset);
    var found = 0.0;
    if (targets[row] >= args.offset && u < ${columns}) { found = ${picked}; }
    picked[row] = found;
  }`)].join('\n');
}

function gradCode(plan: RowPlan, type: string): string {
  const hot = plan.F === 'f32'
    ? 'select(0.0, args.certain, i32(u) == column)'
    : 'select(V(0.0), V(args.certain), 4 * i32(u) + vec4i(0, 1, 2, 3) == vec4i(column))';
  return rowMain(plan, `
  let column = targets[row] - args.offset;
  let logSum = lse[row];
  let factor = scale[row];
  if (live) { ${eachUnit(plan, `dlogits[begin + u] = ${type}((exp(V(logits[begin + u]) - logSum) - args.evenly - ${hot}) * factor);`)} }`);
}

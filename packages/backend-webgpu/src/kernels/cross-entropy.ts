// Cross-entropy over one chunk of the vocabulary: its statistics per row in one walk over the logits, and the gradient of these.
import type { Kernels } from '@xmoe/core';
import { reads, writes } from '../runtime/program.js';
import type { Runtime } from '../runtime/runtime.js';
import { eachUnit, LOWEST, rowMain, rowReduction, spoilsWgsl } from './rows-wgsl.js';
import { planRows, ROW_ARGS, runRows, unitType, type RowPlan } from './rows.js';

export function crossEntropyKernels(runtime: Runtime) {
  return {
    crossEntropyStats({ logits, targets }, { peak, sum, picked, total }, { offset, vocabulary }) {
      const plan = walkedPlan(logits.shape[1]!);
      const program = runtime.program(`crossEntropyStats ${logits.dtype}${total ? ' total' : ''} ${plan.label}`, () => ({
        buffers: {
          logits: reads(unitType(plan, logits.dtype)), targets: reads('i32'), peak: writes('f32'), sum: writes('f32'), picked: writes('f32'),
          ...(total ? { total: writes('f32') } : {}),
        },
        args: { ...ROW_ARGS, offset: 'i32', vocabulary: 'i32' },
        code: statsCode(plan, total !== null),
      }));
      runRows(runtime, program, plan, { logits, targets, peak, sum, picked, ...(total && { total }) }, {}, { offset, vocabulary });
    },
    crossEntropyGrad({ logits, targets, peak, sum, scale }, { dlogits }, { offset, labelSmoothing, vocabulary }) {
      const plan = walkedPlan(logits.shape[1]!);
      const type = unitType(plan, logits.dtype);
      const program = runtime.program(`crossEntropyGrad ${logits.dtype} ${plan.label}`, () => ({
        buffers: {
          logits: reads(type), targets: reads('i32'), peak: reads('f32'), sum: reads('f32'), scale: reads('f32'), dlogits: writes(type),
        },
        args: { ...ROW_ARGS, offset: 'i32', vocabulary: 'i32', evenly: 'f32', certain: 'f32' },
        code: gradCode(plan, type),
      }));
      const args = { offset, vocabulary, evenly: labelSmoothing / vocabulary, certain: 1 - labelSmoothing };
      runRows(runtime, program, plan, { logits, dlogits, targets, peak, sum, scale }, {}, args);
    },
  } satisfies Partial<Kernels>;
}

/** Each logit is needed once: nothing is held. */
function walkedPlan(columns: number): RowPlan {
  const plan = planRows(columns);
  return { ...plan, held: 0, label: `${plan.F} × ${plan.lanes}` };
}

/** (peak, Σ exp(x − peak)) of two parts of a row; the third component is a plain sum, the fourth counts what spoils the row. */
const MERGE = `
fn merge(a: vec4f, b: vec4f) -> vec4f {
  let peak = max(a.x, b.x);
  return vec4f(peak, a.y * exp(a.x - peak) + b.y * exp(b.x - peak), a.z + b.z, a.w + b.w);
}`.trim();

/**
 * The running sum is rescaled whenever a larger logit comes (Milakov and Gimelshein 2018). The total is of distances to the first
 * logit, which is as good a base as the largest, and known before the walk; 0 stands in for one that is infinite.
 */
function statsCode(plan: RowPlan, hasTotal: boolean): string {
  const at = (u: string): string => (plan.F === 'f32' ? `V(logits[begin + ${u}])` : `V(logits[begin + ${u} / 4u])[${u} % 4u]`);
  const columns = plan.F === 'f32' ? 'args.units' : '4u * args.units';
  const width = plan.F === 'f32' ? '1.0' : '4.0';
  return [MERGE, spoilsWgsl(plan), rowReduction(plan, 'rowMerge', 'vec4f', (a, b) => `merge(${a}, ${b})`), rowMain(plan, `
  ${hasTotal ? `let first = ${at('0u')};
  let base = select(first, 0.0, (bitcast<u32>(first) & 0x7fffffffu) >= 0x7f800000u);` : ''}
  var part = vec4f(${LOWEST}, 0.0, 0.0, 0.0);
  ${eachUnit(plan, `
    let x = V(logits[begin + u]);
    let peak = max(part.x, maxOf(x));
    part = vec4f(peak, part.y * exp(part.x - peak) + sumOf(exp(x - peak)), ${hasTotal ? 'part.z + sumOf(x - base)' : '0.0'}, part.w + spoils(x));`)}
  let merged = rowMerge(lane, part);
  if (live && place == 0u) {
    let spoilt = merged.w > 0.0;
    peak[row] = select(merged.x, notANumber(), spoilt);
    sum[row] = select(merged.y, notANumber(), spoilt);
    ${hasTotal ? `
    // Without a logit above the lowest the total is as low as can be.
    let distances = merged.z + (base - merged.x) * ${width} * f32(args.units);
    total[row] = select(select(distances, ${LOWEST}, merged.y == 0.0), notANumber(), spoilt);` : ''}
    let u = u32(targets[row] - args.offset);
    var found = 0.0;
    if (targets[row] >= args.offset && u < ${columns}) { found = ${at('u')}; }
    picked[row] = select(found, notANumber(), targets[row] >= args.vocabulary);
  }`)].join('\n');
}

function gradCode(plan: RowPlan, type: string): string {
  const hot = plan.F === 'f32'
    ? 'select(0.0, args.certain, i32(u) == column)'
    : 'select(V(0.0), V(args.certain), 4 * i32(u) + vec4i(0, 1, 2, 3) == vec4i(column))';
  return [spoilsWgsl({ ...plan, F: 'f32' }), rowMain(plan, `
  let id = targets[row];
  let column = id - args.offset;
  let top = peak[row];
  let inverse = 1.0 / sum[row];
  let factor = scale[row];
  // No target: zeros. No id of the vocabulary, or no softmax: NaN.
  let fixed = id < 0 || id >= args.vocabulary || spoils(sum[row]) > 0.0 || sum[row] == 0.0;
  let fill = select(notANumber(), 0.0, id < 0);
  if (live) { ${eachUnit(plan, `
    let slope = (exp(V(logits[begin + u]) - top) * inverse - args.evenly - ${hot}) * factor;
    dlogits[begin + u] = ${type}(select(V(slope), V(fill), fixed));`)} }`)].join('\n');
}

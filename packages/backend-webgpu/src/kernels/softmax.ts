// softmax and its gradient over the last axis: a few lanes per row, the row in registers where it fits.
import type { Kernels } from '@xmoe/core';
import { reads, writes } from '../runtime/program.js';
import type { Runtime } from '../runtime/runtime.js';
import { eachUnit, holdRow, LOWEST, rowMain, rowMax, rowSum, spoilsWgsl } from './rows-wgsl.js';
import { planRows, ROW_ARGS, runRows, unitType, type RowPlan } from './rows.js';

export function softmaxKernels(runtime: Runtime) {
  return {
    softmax({ x }, { out }) {
      const plan = planRows(x.shape[1]!);
      const program = runtime.program(`softmax ${x.dtype} ${out.dtype} ${plan.label}`, () => ({
        buffers: { x: reads(unitType(plan, x.dtype)), out: writes(unitType(plan, out.dtype)) },
        args: ROW_ARGS,
        code: softmaxCode(plan, unitType(plan, out.dtype)),
      }));
      runRows(runtime, program, plan, { x, out });
    },
    softmaxGrad({ y, dy }, { dx }) {
      const plan = planRows(y.shape[1]!);
      const type = unitType(plan, y.dtype);
      const program = runtime.program(`softmaxGrad ${y.dtype} ${plan.label}`, () => ({
        buffers: { y: reads(type), dy: reads(type), dx: writes(type) },
        args: ROW_ARGS,
        code: softmaxGradCode(plan, type),
      }));
      runRows(runtime, program, plan, { y, dy, dx });
    },
  } satisfies Partial<Kernels>;
}

/** A row of −∞ has a sum of 0 and becomes zeros. */
function softmaxCode(plan: RowPlan, type: string): string {
  const x = holdRow(plan, 'x');
  // In registers the exponentials take the place of the row.
  const exponential = `exp(${x.value} - peak)`;
  const kept = plan.held > 0;
  return [spoilsWgsl(plan), rowMax(plan, 'vec2f'), rowSum(plan), rowMain(plan, `
  ${x.declare}
  var top = vec2f(${LOWEST}, 0.0);
  ${eachUnit(plan, `${x.load} top = max(top, vec2f(maxOf(${x.value}), spoils(${x.value})));`)}
  let found = rowMax(lane, top);
  let peak = found.x;
  var part = 0.0;
  ${eachUnit(plan, kept ? `${x.value} = ${exponential}; part += sumOf(${x.value});` : `part += sumOf(${exponential});`)}
  let sum = rowSum(lane, part);
  let inverse = select(1.0 / sum, 0.0, sum == 0.0);
  let spoilt = found.y > 0.0;
  if (live) { ${eachUnit(plan, `out[begin + u] = ${type}(select(V(${kept ? x.value : exponential} * inverse), V(notANumber()), spoilt));`)} }`)].join('\n');
}

function softmaxGradCode(plan: RowPlan, type: string): string {
  const [y, dy] = [holdRow(plan, 'y'), holdRow(plan, 'dy')];
  return [rowSum(plan), rowMain(plan, `
  ${y.declare} ${dy.declare}
  var part = 0.0;
  ${eachUnit(plan, `${y.load} ${dy.load} part += sumOf(${y.value} * ${dy.value});`)}
  let mean = rowSum(lane, part);
  if (live) { ${eachUnit(plan, `dx[begin + u] = ${type}(${y.value} * (${dy.value} - mean));`)} }`)].join('\n');
}

// layerNorm and its gradient: rows by a few lanes each, statistics in two passes; sums over rows by column-sums.
import type { Kernels } from '@xmoe/core';
import { reads, writes } from '../runtime/program.js';
import type { Runtime } from '../runtime/runtime.js';
import { sumColumns, type ColumnSums } from './column-sums.js';
import { eachUnit, holdRow, rowMain, rowSum } from './rows-wgsl.js';
import { planRows, ROW_ARGS, runRows, unitType, type RowPlan } from './rows.js';

export function normalizationKernels(runtime: Runtime) {
  return {
    layerNorm({ x, gamma, beta }, { out, mean, rstd }, { epsilon }) {
      const plan = planRows(x.shape[1]!);
      const [type, scaleType] = [unitType(plan, x.dtype), unitType(plan, 'float32')];
      const program = runtime.program(`layerNorm ${x.dtype} ${plan.label}`, () => ({
        buffers: {
          x: reads(type), gamma: reads(scaleType), beta: reads(scaleType),
          out: writes(type), mean: writes('f32'), rstd: writes('f32'),
        },
        args: { ...ROW_ARGS, epsilon: 'f32' },
        code: layerNormCode(plan, type),
      }));
      runRows(runtime, program, plan, { x, out, mean, rstd }, { gamma, beta }, { epsilon });
    },
    layerNormGrad({ x, gamma, mean, rstd, dy }, { dx, dgamma, dbeta }) {
      const plan = planRows(x.shape[1]!);
      const type = unitType(plan, x.dtype);
      const drift = runtime.scratch('float32', mean.shape);
      const program = runtime.program(`layerNormGrad ${x.dtype} ${plan.label}`, () => ({
        buffers: {
          x: reads(type), gamma: reads(unitType(plan, 'float32')), mean: reads('f32'), rstd: reads('f32'),
          dy: reads(type), dx: writes(type), drift: writes('f32'),
        },
        args: ROW_ARGS,
        code: layerNormGradCode(plan, type),
      }));
      runRows(runtime, program, plan, { x, mean, rstd, dy, dx, drift }, { gamma });
      const sums: ColumnSums = {
        name: `layerNormGrad ${x.dtype}`,
        buffers: () => ({ x: reads(type), mean: reads('f32'), drift: reads('f32'), rstd: reads('f32'), dy: reads(type) }),
        helpers: () => '',
        visit: () => 'let flow = V(dy[at]); let normal = (V(x[at]) - mean[row] - drift[row]) * rstd[row];',
        values: ['flow * normal', 'flow'],
      };
      sumColumns(runtime, sums, { rows: { x, mean, drift, rstd, dy }, whole: {}, offsets: null, outs: [dgamma, dbeta] });
    },
  } satisfies Partial<Kernels>;
}

const columnsOf = ({ F }: RowPlan): string => `f32(args.units${F === 'f32' ? '' : ' * 4u'})`;

/** Measured from the first number of the row: far from 0 the mean itself has too few digits. */
function layerNormCode(plan: RowPlan, type: string): string {
  const x = holdRow(plan, 'x');
  const fromMean = `(${x.value} - origin - shift)`;
  return [rowSum(plan), rowMain(plan, `
  ${x.declare}
  let origin = f32(x[begin]${plan.F === 'f32' ? '' : '.x'});
  var part = 0.0;
  ${eachUnit(plan, `${x.load} part += sumOf(${x.value} - origin);`)}
  let shift = rowSum(lane, part) / ${columnsOf(plan)};
  part = 0.0;
  ${eachUnit(plan, `let distance = ${fromMean}; part += sumOf(distance * distance);`)}
  let inverse = inverseSqrt(rowSum(lane, part) / ${columnsOf(plan)} + args.epsilon);
  if (live) {
    ${eachUnit(plan, `out[begin + u] = ${type}(${fromMean} * inverse * gamma[u] + beta[u]);`)}
    if (place == 0u) {
      mean[row] = origin + shift;
      rstd[row] = inverse;
    }
  }`)].join('\n');
}

/** dx = rstd·(g − mean(g) − x̂·mean(g·x̂)) with g = dy·gamma and x̂ = (x − mean)·rstd. `drift`: how far the mean is above the rounded one. */
function layerNormGradCode(plan: RowPlan, type: string): string {
  const [x, dy] = [holdRow(plan, 'x'), holdRow(plan, 'dy')];
  const [normal, flow] = [`((${x.value} - average - above) * inverse)`, `(${dy.value} * gamma[u])`];
  return [rowSum(plan), rowSum(plan, 'rowSums', 'vec2f'), rowMain(plan, `
  ${x.declare} ${dy.declare}
  let average = mean[row];
  let inverse = rstd[row];
  var distance = 0.0;
  ${eachUnit(plan, `${x.load} distance += sumOf(${x.value} - average);`)}
  let above = rowSum(lane, distance) / ${columnsOf(plan)};
  var part = vec2f();
  ${eachUnit(plan, `${dy.load} part += vec2f(sumOf(${flow}), sumOf(${flow} * ${normal}));`)}
  let means = rowSums(lane, part) / ${columnsOf(plan)};
  if (live) {
    ${eachUnit(plan, `dx[begin + u] = ${type}(inverse * (${flow} - means.x - ${normal} * means.y));`)}
    if (place == 0u) { drift[row] = above; }
  }`)].join('\n');
}

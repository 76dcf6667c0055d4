// biasActivation and its gradient: one activation over rows that belong to segments with a bias each.
import type { Activation, Kernels, Operand } from '@xmoe/core';
import { reads, writes, type BufferSpec } from '../runtime/program.js';
import type { Runtime } from '../runtime/runtime.js';
import { activationWgsl } from './activation-wgsl.js';
import { sumColumns, type ColumnSums } from './column-sums.js';
import { eachUnit, rowMain } from './rows-wgsl.js';
import { planRows, ROW_ARGS, runRows, unitType, type RowPlan } from './rows.js';
import { SEGMENT_OF } from './segments-wgsl.js';

export function activationKernels(runtime: Runtime) {
  return {
    biasActivation({ x, bias, offsets }, { out }, { activation }) {
      const inputs: Inputs = { x, bias, offsets };
      const { plan, label, buffers, whole, segments } = layoutOf(inputs);
      const type = unitType(plan, out.dtype);
      const program = runtime.program(`biasActivation ${activation} ${label} ${plan.label}`, () => ({
        buffers: { ...buffers, out: writes(type) },
        args: { ...ROW_ARGS, segments: 'u32' },
        code: rowCode(plan, inputs, activation, `out[begin + u] = ${type}(activate(${inputOf(inputs)}));`, `out[begin + u] = ${type}();`),
      }));
      runRows(runtime, program, plan, { x, out }, whole, { segments });
    },
    biasActivationGrad({ x, bias, offsets, dy }, { dx, dbias }, { activation }) {
      // Without an activation x and bias do not matter.
      const inputs: Inputs = activation === 'none' ? { x: dy, bias: null, offsets } : { x, bias, offsets };
      if (dbias === null) gradient(runtime, inputs, dy, dx, activation);
      else gradientWithSums(runtime, inputs, dy, dx, dbias, activation);
    },
  } satisfies Partial<Kernels>;
}

interface Inputs {
  readonly x: Operand;
  readonly bias: Operand | null;
  readonly offsets: Operand | null;
}

interface Layout {
  readonly plan: RowPlan;
  readonly label: string;
  /** x, bias and offsets, as far as they are there. */
  readonly buffers: Readonly<Record<string, BufferSpec>>;
  /** bias and offsets. */
  readonly whole: Readonly<Record<string, Operand>>;
  readonly segments: number;
}

function layoutOf({ x, bias, offsets }: Inputs): Layout {
  const plan = planRows(x.shape[1]!);
  return {
    plan,
    label: `${x.dtype}${bias === null ? '' : ` bias ${bias.dtype}`}${offsets === null ? '' : ' in segments'}`,
    buffers: {
      x: reads(unitType(plan, x.dtype)),
      ...(bias === null ? {} : { bias: reads(unitType(plan, bias.dtype)) }),
      ...(offsets === null ? {} : { offsets: reads('i32') }),
    },
    whole: { ...(bias === null ? {} : { bias }), ...(offsets === null ? {} : { offsets }) },
    segments: offsets === null ? 1 : offsets.shape[0]! - 1,
  };
}

/** What the activation is applied to; `at` the index of the unit in x. */
function inputOf({ bias }: Inputs, at = 'begin + u'): string {
  return bias === null ? `V(x[${at}])` : `V(x[${at}]) + V(bias[g * args.units + u])`;
}

/** A kernel that does `visit` for each unit of rows that belong to a segment \`g\`, `skip` for the others. */
function rowCode(plan: RowPlan, { offsets }: Inputs, activation: Activation, visit: string, skip: string): string {
  const segmented = offsets !== null;
  return [activationWgsl(activation, plan.F), segmented ? SEGMENT_OF : '', rowMain(plan, `
  let g = ${segmented ? 'segmentOf(rowAt)' : '0u'};
  if (live && g < args.segments) { ${eachUnit({ ...plan, held: 0 }, visit)} }
  if (live && g >= args.segments) { ${eachUnit({ ...plan, held: 0 }, skip)} }`)].join('\n');
}

function gradient(runtime: Runtime, inputs: Inputs, dy: Operand, dx: Operand, activation: Activation): void {
  const { plan, label, buffers, whole, segments } = layoutOf(inputs);
  const type = unitType(plan, dx.dtype);
  const visit = `dx[begin + u] = ${type}(V(dy[begin + u]) * slope(${inputOf(inputs)}));`;
  const program = runtime.program(`biasActivationGrad ${activation} ${label} ${plan.label}`, () => ({
    buffers: { ...buffers, dy: reads(type), dx: writes(type) },
    args: { ...ROW_ARGS, segments: 'u32' },
    code: rowCode(plan, inputs, activation, visit, `dx[begin + u] = ${type}();`),
  }));
  runRows(runtime, program, plan, { x: inputs.x, dy, dx }, whole, { segments });
}

/** dx on the way, while the columns of each segment are summed. */
function gradientWithSums(runtime: Runtime, inputs: Inputs, dy: Operand, dx: Operand, dbias: Operand, activation: Activation): void {
  const { plan, label, buffers } = layoutOf({ ...inputs, offsets: null });
  const type = unitType(plan, dx.dtype);
  const sums: ColumnSums = {
    name: `biasActivationGrad ${activation} ${label}${inputs.offsets === null ? '' : ' in segments'}`,
    buffers: () => ({ ...buffers, dy: reads(type), dx: writes(type) }),
    helpers: ({ F }) => activationWgsl(activation, F),
    visit: () => `let flow = V(dy[at]) * slope(${inputOf(inputs, 'at')}); dx[at] = ${type}(flow);`,
    values: ['flow'],
    skip: () => `dx[at] = ${type}();`,
  };
  const whole: Record<string, Operand> = inputs.bias === null ? {} : { bias: inputs.bias };
  sumColumns(runtime, sums, { rows: { x: inputs.x, dy, dx }, whole, offsets: inputs.offsets, outs: [dbias] });
}

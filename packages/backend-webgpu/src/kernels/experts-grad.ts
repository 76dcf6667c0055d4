// expertsGrad: the middle of the experts' backward pass, row by row. With the weights' gradient it takes two launches, because one
// may bind eight buffers only: what W2's bias gives is added in the second.
import type { Kernels, Operand } from '@xmoe/core';
import { reads, writes } from '../runtime/program.js';
import type { Runtime } from '../runtime/runtime.js';
import { activationWgsl } from './activation-wgsl.js';
import { CLAIM_ARGS, claimMain, runClaims } from './claims-wgsl.js';
import { eachUnit, rowMain, rowSum } from './rows-wgsl.js';
import { planRows, ROW_ARGS, runRows, unitType } from './rows.js';
import { SEGMENT_OF } from './segments-wgsl.js';

export function expertsGradKernel(runtime: Runtime) {
  return {
    expertsGrad({ pre, dHidden, weights, b2, dy, rowClaim, claimRow, offsets }, { dPre, hidden, dWeights, rowWeight }, { activation }) {
      const plan = planRows(pre.shape[1]!);
      const type = unitType(plan, pre.dtype);
      const program = runtime.program(`expertsGrad ${activation} ${pre.dtype} ${plan.label}${dWeights ? ' weights' : ''}`, () => ({
        buffers: {
          pre: reads(type), dHidden: reads(type), weights: reads('float32'), rowClaim: reads('int32'),
          dPre: writes(type), hidden: writes(type), rowWeight: writes('float32'), ...(dWeights ? { dWeights: writes('float32') } : {}),
        },
        args: ROW_ARGS,
        code: [activationWgsl(activation, plan.F), ...(dWeights ? [rowSum(plan)] : []), rowMain(plan, `
  let claim = rowClaim[row];
  var dot = 0.0;
  if (live && claim >= 0) {
    ${eachUnit({ ...plan, held: 0 }, `
      let before = V(pre[begin + u]);
      let flow = V(dHidden[begin + u]);
      let after = activate(before);
      hidden[begin + u] = ${type}(after);
      dPre[begin + u] = ${type}(flow * slope(before));
      dot += sumOf(after * flow);`)}
  } else if (live) { ${eachUnit({ ...plan, held: 0 }, `hidden[begin + u] = ${type}(); dPre[begin + u] = ${type}();`)} }
  if (live && place == 0u) { rowWeight[row] = select(0.0, weights[max(claim, 0)], claim >= 0); }
  ${dWeights ? `
  let total = rowSum(lane, dot);
  if (live && claim >= 0 && place == 0u) { dWeights[claim] = total; }` : ''}`)].join('\n'),
      }));
      const whole = { weights, ...(dWeights ? { dWeights } : {}) };
      runRows(runtime, program, plan, { pre, dHidden, dPre, hidden, rowClaim, rowWeight }, whole);
      if (dWeights) addBias(runtime, { b2, dy, rowClaim, claimRow, offsets, dWeights });
    },
  } satisfies Partial<Kernels>;
}

type BiasOperands = Readonly<Record<'b2' | 'dy' | 'rowClaim' | 'claimRow' | 'offsets' | 'dWeights', Operand>>;

/** dWeights[c] += b2[g]·dy[t] for claims with a row, 0 for the others. */
function addBias(runtime: Runtime, { b2, dy, rowClaim, claimRow, offsets, dWeights }: BiasOperands): void {
  const plan = planRows(dy.shape[1]!);
  const program = runtime.program(`expertsGrad bias ${b2.dtype} ${dy.dtype} ${plan.label}`, () => ({
    buffers: {
      b2: reads(unitType(plan, b2.dtype)), dy: reads(unitType(plan, dy.dtype)), rowClaim: reads('int32'), claimRow: reads('int32'),
      offsets: reads('int32'), dWeights: writes('float32'),
    },
    args: { ...CLAIM_ARGS, segments: 'u32' },
    code: [SEGMENT_OF, rowSum(plan), claimMain(plan, `
    var dot = 0.0;
    if (live && claim >= 0) {
      let bias = segmentOf(rowAt) * args.units;
      ${eachUnit({ ...plan, held: 0 }, 'dot += sumOf(V(b2[bias + u]) * V(dy[token * args.units + u]));')}
    }
    let total = rowSum(lane, dot);
    if (live && claim >= 0 && place == 0u) { dWeights[claim] += total; }`)].join('\n'),
  }));
  runClaims(runtime, program, plan, { rowClaim }, { b2, dy, offsets, dWeights }, claimRow, { segments: b2.shape[0]! });
}

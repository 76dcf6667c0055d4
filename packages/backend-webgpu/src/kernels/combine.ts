// combineExperts: each token's sum over the rows of its claims, in rank order, and its gradient. Rows are gathered, never added up
// with atomics.
import type { Kernels } from '@xmoe/core';
import { reads, writes } from '../runtime/program.js';
import type { Runtime } from '../runtime/runtime.js';
import { CLAIM_ARGS, claimMain, runClaims } from './claims-wgsl.js';
import { eachUnit, rowMain, rowSum } from './rows-wgsl.js';
import { planRows, ROW_ARGS, ROW_GROUP, unitType, type RowPlan } from './rows.js';

/** With more choices than this most claims have no row: they are sieved once per token instead of by every lane. */
const FEW_CHOICES = 8;
/** Fewer lanes per token would sieve in many rounds. */
const LEAST_LANES = 32;

export function combineKernels(runtime: Runtime) {
  return {
    combineExperts(expertOut, weights, claimRow, _rowClaim, out) {
      const [tokens, columns] = out.shape as [number, number];
      const choices = claimRow.shape[1]!;
      const plan = planRows(columns);
      const type = unitType(plan, out.dtype);
      const sieved = choices > FEW_CHOICES && plan.lanes >= LEAST_LANES && plan.held > 0;
      const program = runtime.program(`combineExperts ${out.dtype} ${plan.label}${sieved ? ' sieved' : ''}`, () => ({
        buffers: { expertOut: reads(type), weights: reads('float32'), claimRow: reads('int32'), out: writes(type) },
        args: { ...ROW_ARGS, choices: 'u32' },
        code: sieved ? sievedWgsl(plan, type) : plainWgsl(plan, type),
      }));
      const groups = Math.ceil((tokens * plan.lanes) / ROW_GROUP);
      runtime.run(program, { expertOut, weights, claimRow, out }, { rows: tokens, units: plan.units, first: 0, choices }, runtime.fold(groups));
    },
    combineExpertsGrad(expertOut, weights, claimRow, rowClaim, dy, dExpertOut, dWeights) {
      const plan = planRows(dy.shape[1]!);
      const type = unitType(plan, dy.dtype);
      const program = runtime.program(`combineExpertsGrad ${dy.dtype} ${plan.label}`, () => ({
        buffers: {
          expertOut: reads(type), weights: reads('float32'), claimRow: reads('int32'), rowClaim: reads('int32'), dy: reads(type),
          dExpertOut: writes(type), dWeights: writes('float32'),
        },
        args: CLAIM_ARGS,
        code: gradientWgsl(plan, type),
      }));
      runClaims(runtime, program, plan, { expertOut, weights, dy, dExpertOut, dWeights }, rowClaim, claimRow);
    },
  } satisfies Partial<Kernels>;
}

function plainWgsl(plan: RowPlan, type: string): string {
  return rowMain(plan, `
  if (live) { ${eachUnit({ ...plan, held: 0 }, `
    var total = V();
    for (var claim = row * args.choices; claim < (row + 1u) * args.choices; claim++) {
      let source = claimRow[claim];
      if (source >= 0) { total += weights[claim] * V(expertOut[u32(source) * args.units + u]); }
    }
    out[begin + u] = ${type}(total);`)} }`);
}

/** The lanes of a token look at as many claims at once, and note those that have a row, in their order. */
function sievedWgsl(plan: RowPlan, type: string): string {
  const words = plan.lanes / 32;
  return `
var<workgroup> used: array<atomic<u32>, ${ROW_GROUP / 32}>;
var<workgroup> sources: array<u32, ${ROW_GROUP}>;
var<workgroup> factors: array<f32, ${ROW_GROUP}>;
${rowMain(plan, `
  let slot = (lane / LANES) * LANES;
  let word = lane / 32u;
  let bit = 1u << (lane & 31u);
  var totals: array<V, HELD>;
  for (var first = 0u; first < args.choices; first += LANES) {
    let choice = first + place;
    let claim = row * args.choices + choice;
    var source = -1;
    if (choice < args.choices) { source = claimRow[claim]; }
    if (lane < ${ROW_GROUP / 32}u) { atomicStore(&used[lane], 0u); }
    workgroupBarrier();
    if (source >= 0) { atomicOr(&used[word], bit); }
    workgroupBarrier();
    var before = 0u;
    var count = 0u;
    for (var w = slot / 32u; w < slot / 32u + ${words}u; w++) {
      let mask = atomicLoad(&used[w]);
      count += countOneBits(mask);
      before += countOneBits(select(select(0u, mask & (bit - 1u), w == word), mask, w < word));
    }
    if (source >= 0) {
      sources[slot + before] = u32(source) * args.units;
      factors[slot + before] = weights[claim];
    }
    workgroupBarrier();
    for (var i = slot; i < slot + count; i++) {
      let start = sources[i];
      let factor = factors[i];
      ${eachUnit(plan, 'totals[s] += factor * V(expertOut[start + u]);')}
    }
  }
  if (live) { ${eachUnit(plan, `out[begin + u] = ${type}(totals[s]);`)} }`)}`.trim();
}

function gradientWgsl(plan: RowPlan, type: string): string {
  return [rowSum(plan), claimMain(plan, `
    var dot = 0.0;
    if (live && claim >= 0) {
      let weight = weights[claim];
      ${eachUnit({ ...plan, held: 0 }, `
        let upstream = V(dy[token * args.units + u]);
        dExpertOut[begin + u] = ${type}(weight * upstream);
        dot += sumOf(V(expertOut[begin + u]) * upstream);`)}
    } else if (live) { ${eachUnit({ ...plan, held: 0 }, `dExpertOut[begin + u] = ${type}();`)} }
    let total = rowSum(lane, dot);
    if (live && claim >= 0 && place == 0u) { dWeights[claim] = total; }`)].join('\n');
}

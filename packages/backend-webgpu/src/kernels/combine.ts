// combineExperts: each token's sum over the rows of its claims, in rank order, and its gradient. Rows are gathered, never added up
// with atomics.
import type { Kernels, Operand } from '@xmoe/core';
import { reads, writes } from '../runtime/program.js';
import type { Runtime } from '../runtime/runtime.js';
import { CLAIM_ARGS, claimMain, runClaims } from './claims-wgsl.js';
import { eachUnit, rowMain, rowSum } from './rows-wgsl.js';
import { planRows, ROW_ARGS, ROW_GROUP, rowGroups, rowWindows, unitType, type RowPlan } from './rows.js';
import { narrow } from './tiles/split.js';
import { rangesOf, rowsPerBinding, viewOf, type Range } from './tiles/windows.js';

/** With more choices than this most claims have no row: they are sieved once per token instead of by every lane. */
const FEW_CHOICES = 8;
/** Fewer lanes per token would sieve in many rounds. */
const LEAST_LANES = 32;

const COMBINE_ARGS = { ...ROW_ARGS, choices: 'u32', sourceFirst: 'i32', sourceLast: 'i32', sourceBase: 'u32' } as const;

export function combineKernels(runtime: Runtime) {
  return {
    combineExperts({ expertOut, weights, claimRow }, { out }) {
      const [rows, columns] = expertOut.shape as [number, number];
      const sources = rangesOf(rows, rowsPerBinding(runtime.traits, expertOut, columns));
      // Sums over several windows stay in float32 between them.
      const total = sources.length > 1 && out.dtype === 'float16' ? runtime.scratch('float32', out.shape) : out;
      sources.forEach((source, index) => combine(runtime, { expertOut, weights, claimRow, total }, source, index > 0));
      if (total !== out) narrow(runtime, 'combineExperts', total, out);
    },
    combineExpertsGrad({ expertOut, weights, claimRow, rowClaim, dy }, { dExpertOut, dWeights }) {
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
      runClaims(runtime, program, plan, { rowClaim, expertOut, dExpertOut }, { weights, dy, dWeights }, claimRow);
    },
  } satisfies Partial<Kernels>;
}

type CombineOperands = Readonly<Record<'expertOut' | 'weights' | 'claimRow' | 'total', Operand>>;

/** The sums over the rows of a window of expertOut, `add`ed to what is there. */
function combine(runtime: Runtime, { expertOut, weights, claimRow, total }: CombineOperands, source: Range, add: boolean): void {
  const columns = total.shape[1]!;
  const choices = claimRow.shape[1]!;
  const plan = planRows(columns);
  const [type, totalType] = [unitType(plan, expertOut.dtype), unitType(plan, total.dtype)];
  const sieved = choices > FEW_CHOICES && plan.lanes >= LEAST_LANES && plan.held > 0;
  const label = [`${expertOut.dtype} ${plan.label}`, total.dtype === expertOut.dtype ? '' : `to ${total.dtype}`, sieved ? 'sieved' : '', add ? 'add' : ''];
  const program = runtime.program(`combineExperts ${label.filter(Boolean).join(' ')}`, () => ({
    buffers: { expertOut: reads(type), weights: reads('float32'), claimRow: reads('int32'), total: writes(totalType) },
    args: COMBINE_ARGS,
    code: [SOURCE_WGSL, (sieved ? sievedWgsl : plainWgsl)(plan, `total[begin + u] ${add ? '+=' : '='} ${totalType}`)].join('\n'),
  }));
  const view = viewOf(runtime.traits, expertOut, source.begin * columns, source.end * columns);
  // In units, as the program counts.
  const sourceBase = -((-view.base >>> 0) / (plan.F === 'f32' ? 1 : 4)) >>> 0;
  const args = { units: plan.units, choices, sourceFirst: source.begin, sourceLast: source.end, sourceBase };
  for (const { first, rows, buffers } of rowWindows(runtime, { total, weights, claimRow })) {
    runtime.run(program, { ...buffers, expertOut: view.binding }, { ...args, rows, first }, runtime.fold(rowGroups(plan, rows)));
  }
}

/** The row of a claim, −1 where it has none in this window; where a row begins in the binding. */
const SOURCE_WGSL = `
fn sourceOf(claim: u32) -> i32 {
  let source = claimRow[claim];
  return select(-1, source, source >= args.sourceFirst && source < args.sourceLast);
}
fn startOf(source: i32) -> u32 { return u32(source) * args.units + args.sourceBase; }`.trim();

/** `store`: WGSL up to the value of a unit. */
function plainWgsl(plan: RowPlan, store: string): string {
  return rowMain(plan, `
  if (live) { ${eachUnit({ ...plan, held: 0 }, `
    var sum = V();
    for (var claim = row * args.choices; claim < (row + 1u) * args.choices; claim++) {
      let source = sourceOf(claim);
      if (source >= 0) { sum += weights[claim] * V(expertOut[startOf(source) + u]); }
    }
    ${store}(sum);`)} }`);
}

/** The lanes of a token look at as many claims at once, and note those that have a row, in their order. */
function sievedWgsl(plan: RowPlan, store: string): string {
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
    if (choice < args.choices) { source = sourceOf(claim); }
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
      sources[slot + before] = startOf(source);
      factors[slot + before] = weights[claim];
    }
    workgroupBarrier();
    for (var i = slot; i < slot + count; i++) {
      let start = sources[i];
      let factor = factors[i];
      ${eachUnit(plan, 'totals[s] += factor * V(expertOut[start + u]);')}
    }
  }
  if (live) { ${eachUnit(plan, `${store}(totals[s]);`)} }`)}`.trim();
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

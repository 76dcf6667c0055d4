// WGSL for kernels that go over the rows of a dispatch plan and give each claim a number: a claim that has no row gets 0 in the
// same launch, from workgroups of its own.
import type { Operand } from '@xmoe/core';
import type { CompiledProgram } from '../runtime/pipelines.js';
import type { Runtime } from '../runtime/runtime.js';
import { rowMain } from './rows-wgsl.js';
import { ROW_GROUP, rowWindows, type RowPlan } from './rows.js';

/** The arguments of these kernels. */
export const CLAIM_ARGS = { rows: 'u32', units: 'u32', first: 'u32', rowGroups: 'u32', claims: 'u32', choices: 'u32' } as const;

/**
 * `body` for each lane of each row, as in rowMain, with \`claim\` (−1: an empty row) and \`token\` besides; then dWeights[claim] = 0
 * where claimRow is −1. Barriers are fine in the body. Needs the buffers rowClaim, claimRow and dWeights.
 */
export function claimMain(plan: RowPlan, body: string): string {
  return rowMain(plan, `
  let groupIndex = group.y * groups.x + group.x;
  if (groupIndex < args.rowGroups) {
    let claim = rowClaim[row];
    let token = u32(max(claim, 0)) / max(1u, args.choices);
    ${body.trim()}
  } else {
    let claim = (groupIndex - args.rowGroups) * ${ROW_GROUP}u + lane;
    if (claim < args.claims && claimRow[claim] < 0) { dWeights[claim] = 0.0; }
  }`);
}

/**
 * Launches such a kernel for the rows of `perRow.rowClaim`, in windows of all of `perRow`, each [rows, …], where they are large; the
 * claims of `claimRow` are looked through in the first.
 */
export function runClaims(
  runtime: Runtime, program: CompiledProgram, plan: RowPlan, perRow: Readonly<Record<'rowClaim', Operand> & Record<string, Operand>>,
  whole: Readonly<Record<string, Operand>>, claimRow: Operand, args: Readonly<Record<string, number>> = {},
): void {
  const [tokens, choices] = claimRow.shape as [number, number];
  for (const { first, rows, buffers } of rowWindows(runtime, perRow)) {
    const claims = first === 0 ? tokens * choices : 0;
    const rowGroups = Math.ceil((rows * plan.lanes) / ROW_GROUP);
    const groups = rowGroups + Math.ceil(claims / ROW_GROUP);
    runtime.run(program, { ...buffers, ...whole, claimRow }, { ...args, rows, units: plan.units, first, rowGroups, claims, choices }, runtime.fold(groups));
  }
}

// What the CPU engine promises against its peers, and whether a ratio keeps the promise. It measures nothing.
import type { Ratio } from '../measure.js';
import type { Column, Table } from '../table.js';

export interface Target {
  readonly bound: 'at least' | 'at most';
  readonly value: number;
}

export const atLeast = (value: number): Target => ({ bound: 'at least', value });
export const atMost = (value: number): Target => ({ bound: 'at most', value });

export const TARGETS = {
  /** GEMM 1024×768×3072: times faster. */
  gemmTfjs: atLeast(2.5),
  gemmJax: atLeast(1.5),
  /** Of `cpu:native`, by a library like numpy's own. */
  gemmNumpy: atLeast(0.95),
  /** Train step of a preset, times faster than through the TensorFlow.js wasm adapter. */
  step: atLeast(3),
  /** Train step of a model, times faster than PyTorch. */
  model: atLeast(1.5),
  tax: atMost(1.2),
  granularity: atMost(1.15),
  routerShare: atMost(0.06),
  /** MoE layer at the finest split, times faster than PyTorch. */
  theirs: { sorted: atLeast(0.5), einsum: atLeast(2) },
} as const;

/** Cells for a ratio with a target or without. Judged by the shortest times. */
export function verdict({ min, median }: Ratio, target: Target | null): Record<string, string | number> {
  if (!target) return { ratioMin: min, ratioMedian: median };
  const met = target.bound === 'at least' ? min >= target.value : min <= target.value;
  return { ratioMin: min, ratioMedian: median, target: `${target.bound === 'at least' ? '≥' : '≤'} ${target.value}`, met: met ? 'yes' : 'no' };
}

/** For sizes that the targets do not hold for. */
export const withoutVerdicts = (table: Table): Table =>
  ({ ...table, rows: table.rows.map((row) => Object.fromEntries(Object.entries(row).filter(([key]) => key !== 'target' && key !== 'met'))) });

/** The columns of {@link verdict}; `what` is ours / theirs or the like. */
export const verdictColumns = (what: string, digits = 2): Column[] => [
  { key: 'ratioMin', label: `${what} (min)`, digits }, { key: 'ratioMedian', label: `${what} (median)`, digits },
  { key: 'target', label: 'target' }, { key: 'met', label: 'met' },
];

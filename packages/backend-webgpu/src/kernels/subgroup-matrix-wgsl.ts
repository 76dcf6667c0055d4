// Everything of WGSL's experimental subgroup matrices: this one file knows their syntax, which changed during 2026 and will again.
// Written for Dawn as of npm webgpu 0.6.2, where it has been compiled; no adapter that runs it was at hand, so a backend uses it only
// after it has compared its results with those of the plain kernels. The tile generator is tiles/matrix-tile-wgsl.ts.
import type { SubgroupMatrixShape } from '../device/traits.js';

/** The two ways that a matrix lies in an array: consecutive elements are of a row, or of a column. */
export type MatrixOrder = 'row' | 'column';

/** What a tile generator says about matrices, as WGSL. Left is M × K, right K × N, the result M × N. */
export interface MatrixDialect {
  readonly enable: readonly string[];
  readonly directives: readonly string[];
  /** WGSL outside of functions. */
  declarations(shape: SubgroupMatrixShape): string;
  /** Statements: a result of zeros; a float16 matrix from workgroup memory; result += left · right; a result to workgroup memory in rows. */
  zero(result: string, shape: SubgroupMatrixShape): string;
  load(side: 'left' | 'right', name: string, array: string, offset: string, pitch: number, order: MatrixOrder, shape: SubgroupMatrixShape): string;
  accumulate(result: string, left: string, right: string): string;
  store(array: string, offset: string, result: string, pitch: number): string;
}

/** Types name columns before rows. */
export const CHROMIUM_MATRICES: MatrixDialect = {
  enable: ['f16', 'subgroups', 'chromium_experimental_subgroup_matrix'],
  // Which subgroup a lane is in is uniform, but not to the analysis.
  directives: ['diagnostic(off, chromium.subgroup_matrix_uniformity);'],
  declarations: () => '',
  zero: (result, { M, N }) => `var ${result} = subgroup_matrix_result<f32, ${N}, ${M}>();`,
  load(side, name, array, offset, pitch, order, { M, N, K }) {
    const type = side === 'left' ? `subgroup_matrix_left<f16, ${K}, ${M}>` : `subgroup_matrix_right<f16, ${N}, ${K}>`;
    return `let ${name} = subgroupMatrixLoad<${type}, ${order === 'row' ? 'row_major' : 'col_major'}>(&${array}, ${offset}, ${pitch}u);`;
  },
  accumulate: (result, left, right) => `${result} = subgroupMatrixMultiplyAccumulate(${left}, ${right}, ${result});`,
  store: (array, offset, result, pitch) => `subgroupMatrixStore<row_major>(&${array}, ${offset}, ${result}, ${pitch}u);`,
};

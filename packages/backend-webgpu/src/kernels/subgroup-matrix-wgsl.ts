// Everything of WGSL's experimental subgroup matrices: this one file knows their syntax, which changed during 2026 and will again.
// Written for Dawn as of npm webgpu 0.6.2 and seen to be right on an H200; a backend uses it only after it has compared its results with
// those of the plain kernels.
//
// Matrices in workgroup memory lie in arrays of 16-byte elements, and offsets and pitches count those: Vulkan wants matrices aligned to
// 16 bytes, which an array of float16 is not once there is a variable of another size beside it.
import type { SubgroupMatrixShape } from '../device/traits.js';

/** The two ways that a matrix lies in an array: consecutive elements are of a row, or of a column. */
export type MatrixOrder = 'row' | 'column';

/** Elements of float16, and of float32, in 16 bytes. */
export const HALVES = 8;
export const FLOATS = 4;

/** What a generator says about matrices, as WGSL. Left is M × K, right K × N, the result M × N. */
export interface MatrixDialect {
  readonly enable: readonly string[];
  readonly directives: readonly string[];
  /** WGSL outside of functions. */
  declarations(shape: SubgroupMatrixShape): string;
  /**
   * Statements: a result of zeros; a float16 matrix from an array of `vec4<u32>` in workgroup memory; result += left · right; a result in
   * rows to one of `vec4<f32>`.
   */
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

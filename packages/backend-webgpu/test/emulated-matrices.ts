// Subgroup matrices spelled out in plain WGSL, so that everything around them can be computed where no adapter has them: every lane of a
// subgroup holds the whole matrix. Far too slow for anything but tests.
import type { MatrixDialect } from '../src/kernels/subgroup-matrix-wgsl.js';
import type { MatrixTile } from '../src/kernels/tiles/tile-config.js';

/** How a loop ends without its compiler, which takes seconds over what is unrolled, knowing when. */
const upTo = (count: number): string => `select(0u, ${count}u, args.tileK > 0u)`;

export const EMULATED_MATRICES: MatrixDialect = {
  enable: ['f16'],
  directives: [],
  declarations: () => '',
  zero: (result) => `var ${result} = array<f32, 64>();`,
  load(_side, name, array, offset, pitch, order) {
    const [row, column] = order === 'row' ? ['e / 8u', 'e % 8u'] : ['e % 8u', 'e / 8u'];
    // The number of a half, which is a part of a word of an element.
    return `var ${name}: array<f32, 64>; for (var e = 0u; e < ${upTo(64)}; e++) {
        let half = (${offset} + (${row}) * ${pitch}u) * 8u + ${column};
        let both = unpack2x16float(${array}[half >> 3u][(half >> 1u) & 3u]);
        ${name}[e] = select(both.x, both.y, (half & 1u) == 1u);
      }`;
  },
  accumulate: (result, left, right) => `for (var e = 0u; e < ${upTo(512)}; e++) {
        ${result}[e / 8u] = fma(${left}[(e / 64u) * 8u + e % 8u], ${right}[(e % 8u) * 8u + (e / 8u) % 8u], ${result}[e / 8u]);
      }`,
  store: (array, offset, result, pitch) =>
    `if (lane % SUBGROUP == 0u) { for (var e = 0u; e < ${upTo(64)}; e++) { ${array}[${offset} + (e / 8u) * ${pitch}u + (e % 8u) / 4u][e % 4u] = ${result}[e]; } }`,
};

/** Two by two subgroups of 8, two by one matrices each. */
export const EMULATED_TILE: MatrixTile = {
  kind: 'matrix', tileM: 32, tileN: 16, tileK: 16, subgroupsM: 2, subgroupsN: 2, subgroupSize: 8, stages: 2, together: 1, shape: { M: 8, N: 8, K: 8 }, dialect: EMULATED_MATRICES,
};

// WGSL of attention by subgroup matrices (Dao et al. 2022, Algorithm 1). Sums are of a block only while they are in matrices: lanes add
// them to those of the blocks before, which they have in registers and shrink when the maximum grows.
import {
  andShown, keepRows, loadShown, MATRIX_PLACE, matrixHeadWgsl, shownTile, stageKeys, sweepBlocks, type MatrixHead,
} from './attention-matrix-wgsl.js';
import type { AttentionVariant } from './attention-forward-wgsl.js';
import { times } from './attention-wgsl.js';
import { LOWEST } from './rows-wgsl.js';
import { FLOATS } from './subgroup-matrix-wgsl.js';

export function matrixAttentionCode(head: MatrixHead, variant: AttentionVariant): string {
  const quads = head.D / FLOATS / head.parts;
  return `
${matrixHeadWgsl(head, variant, ['scores'], ['halves'])}
${variant.dropout ? 'fn randomKey() -> vec2u { return vec2u(key[0], key[1]); }' : ''}
${shownTile(variant, 'BLOCK')}
var<workgroup> weights: array<f32, THREADS>;
${MATRIX_PLACE}
${matrixQueryPlace(variant)}
  ${keepRows(head, 'q', 'left', 'head * args.queries + firstQuery', 'firstQuery + row < args.queries')}
  var peak = ${LOWEST};
  var weight = 0.0;
  ${times(quads, (i) => `var sum${i} = vec4f();`, ' ')}
  ${sweepBlocks(head, stageKeys(head, variant), {
    from: '0u', to: 'end', besides: loadShown(variant, 'start', 'BLOCK'), kept: 'left', products: [['scores', 'q', 0]],
    visit: `${softmaxBlock(variant, quads)}
    workgroupBarrier();
    ${addValues(head)}`,
  })}
  weights[lane] = weight;
  workgroupBarrier();
  var total = 0.0;
  for (var i = 0u; i < PARTS; i++) { total += weights[subgroup * SUBGROUP + i * SIDE + row]; }
  let inverse = select(1.0 / total, 0.0, total == 0.0);
  if (!live) { return; }
  ${times(quads, (i) => `out[mine * QUADS + ${i}u * PARTS + part] = vec4<f16>(sum${i} * inverse);`, '\n  ')}
  if (part == 0u) { stats[mine] = vec2f(peak, inverse); }
}`.trim();
}

/** The query of a lane, and which part of its row. Later queries see more keys, so they begin first. */
export function matrixQueryPlace({ dropout }: AttentionVariant): string {
  return `
  let row = place % SIDE;
  let part = place / SIDE;
  let area = subgroup * SIDE;
  let firstQuery = (args.blocks - 1u - index % args.blocks) * ROWS;
  let live = firstQuery + area + row < args.queries;
  let query = min(firstQuery + area + row, args.queries - 1u);
  let mine = head * args.queries + query;
  ${dropout ? 'let flat = wideProduct(args.first * args.queries + mine, args.keys);' : ''}
  let limit = visibleKeys(query);
  let end = visibleKeys(min(firstQuery + ROWS, args.queries) - 1u);`;
}

/** From scores to float16 probabilities, at most 1 times the factor of dropout. Lanes of a row look at all of it for the maximum, and keep apart what they add up. */
function softmaxBlock(variant: AttentionVariant, quads: number): string {
  const quad = (n: number): string => `{
        let j = octet * 8u + ${4 * n}u;
        let seen = seenKeys(start + j, limit)${andShown(variant, 'j')};
        let found = select(vec4f(), exp(scoresOf(scores[(area + row) * SCORE_PITCH + octet * 2u + ${n}u], seen) - peak), seen);
        weight += (found.x + found.y) + (found.z + found.w);
        let factor = found${variant.dropout ? ' * keptKeys(flat, start + j)' : ''};
        words${n} = vec2u(pack2x16float(factor.xy), pack2x16float(factor.zw));
      }`;
  return `{
      var largest = vec4f(peak);
      for (var i = 0u; i < BLOCK / 4u; i++) {
        let score = scoresOf(scores[(area + row) * SCORE_PITCH + i], seenKeys(start + i * 4u, limit)${andShown(variant, 'i * 4u')});
        largest = select(largest, score, score > largest);
      }
      let pair = select(largest.xy, largest.zw, largest.zw > largest.xy);
      let next = select(pair.x, pair.y, pair.y > pair.x);
      let shrink = exp(peak - next);
      peak = next;
      weight *= shrink;
      ${times(quads, (i) => `sum${i} *= shrink;`, ' ')}
    }
    for (var i = 0u; i < BLOCK / 8u / PARTS; i++) {
      let octet = i * PARTS + part;
      var words0: vec2u;
      var words1: vec2u;
      ${times(2, quad, ' ')}
      halves[(area + row) * HALF_PITCH + octet] = vec4u(words0, words1);
    }`;
}

/** Probabilities times values, as many columns at once as there is room for where the scores were. */
function addValues(head: MatrixHead): string {
  const { D, side, block, parts, dialect, shape, pitch, scorePitch, halfPitch } = head;
  const steps = block / side;
  const chunk = (first: number): string => {
    const columns = Math.min(block, D - first);
    return `
    for (var t = 0u; t < ${columns / side}u; t++) {
      ${dialect.zero('sums', shape)}
      ${times(steps, (step) => `${dialect.load('right', `value${step}`, 'tiles', `(BLOCK + ${step}u * SIDE) * PITCH + ${first / 8}u + t * SIDE / 8u`, pitch, 'row', shape)}
      ${dialect.accumulate('sums', `probability${step}`, `value${step}`)}`, '\n      ')}
      ${dialect.store('scores', 'area * SCORE_PITCH + t * SIDE / 4u', 'sums', scorePitch)}
    }
    workgroupBarrier();
    ${times(columns / FLOATS / parts, (i) => `sum${first / FLOATS / parts + i} += scores[(area + row) * SCORE_PITCH + ${i}u * PARTS + part];`, '\n    ')}`;
  };
  return `${times(steps, (step) => dialect.load('left', `probability${step}`, 'halves', `area * HALF_PITCH + ${step}u * SIDE / 8u`, halfPitch, 'row', shape), '\n    ')}
    ${times(Math.ceil(D / block), (n) => chunk(n * block), '\n    workgroupBarrier();')}`;
}

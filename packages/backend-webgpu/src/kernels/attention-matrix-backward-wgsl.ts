// WGSL of attention's gradient by subgroup matrices (Dao et al. 2022, Algorithm 4): that of the queries over blocks of keys, then those of
// keys and values over blocks of queries, from what the plain kernels' first program makes of every query. Probabilities and the
// gradients of scores are float16 on their way into products: beyond its range they are infinite, which loss scaling looks for.
import {
  andShown, headSteps, keepRows, loadShown, MATRIX_PLACE, matrixHeadWgsl, shownTile, stageKeys, stageRows, sweepBlocks, type MatrixHead,
} from './attention-matrix-wgsl.js';
import { matrixQueryPlace } from './attention-matrix-forward-wgsl.js';
import type { AttentionVariant } from './attention-forward-wgsl.js';
import { times } from './attention-wgsl.js';

const NUMBERS = `
fn numbersOf(head: u32, query: u32) -> vec4u { return numbers[head * (args.queries + 1u) + 1u + query]; }
fn randomKey() -> vec2u { return numbers[0].xy; }
fn halvesOf(low: vec4f, high: vec4f) -> vec4u { return vec4u(bitcast<vec2u>(vec4<f16>(low)), bitcast<vec2u>(vec4<f16>(high))); }
// For what is within the range of float16.
fn packedOf(low: vec4f, high: vec4f) -> vec4u {
  return vec4u(pack2x16float(low.xy), pack2x16float(low.zw), pack2x16float(high.xy), pack2x16float(high.zw));
}`.trim();

/** dq of the queries of a workgroup. */
export function matrixQueryGradCode(head: MatrixHead, variant: AttentionVariant): string {
  const { dialect, shape, scorePitch } = head;
  const present = 'firstQuery + row < args.queries';
  const columns = headSteps(head);
  return `
${matrixHeadWgsl(head, variant, ['scores', 'flows'], ['changes'])}
${NUMBERS}
${shownTile(variant, 'BLOCK')}
${MATRIX_PLACE}
${matrixQueryPlace(variant)}
  ${keepRows(head, 'q', 'left', 'head * args.queries + firstQuery', present)}
  ${keepRows(head, 'dout', 'left', 'head * args.queries + firstQuery', present)}
  let own = bitcast<vec4f>(numbersOf(head, query));
  ${times(columns, (i) => dialect.zero(`sum${i}`, shape), ' ')}
  ${sweepBlocks(head, stageKeys(head, variant), {
    from: '0u', to: 'end', besides: loadShown(variant, 'start', 'BLOCK'), kept: 'left', products: [['scores', 'q', 0], ['flows', 'dout', 1]],
    visit: `${queryBlock(variant)}
    workgroupBarrier();
    ${addToQueries(head, columns)}`,
  })}
  ${times(columns, (i) => writeMatrix(head, `sum${i}`, i, 'dq', 'head * args.queries + firstQuery', 'args.queries - firstQuery', ' * args.scale', scorePitch), '\n  ')}
}`.trim();
}

/** From scores to their gradients, octets of keys in rows of queries. */
function queryBlock(variant: AttentionVariant): string {
  return `for (var i = 0u; i < BLOCK / 8u / PARTS; i++) {
      let octet = i * PARTS + part;
      ${times(2, (n) => `
      let seen${n} = seenKeys(start + octet * 8u + ${4 * n}u, limit)${andShown(variant, `octet * 8u + ${4 * n}u`)};
      ${pairGradient(variant, n, '(area + row) * SCORE_PITCH + octet * 2u', 'own', 'flat', 'start + octet * 8u')}`, '')}
      changes[(area + row) * HALF_PITCH + octet] = halvesOf(change0, change1);
    }`;
}

/** Gradients of scores times keys. */
function addToQueries({ side, block, dialect, shape, pitch, halfPitch }: MatrixHead, columns: number): string {
  return `for (var t = 0u; t < ${block / side}u; t++) {
      ${dialect.load('left', 'change', 'changes', 'area * HALF_PITCH + t * SIDE / 8u', halfPitch, 'row', shape)}
      ${times(columns, (i) => `${dialect.load('right', `key${i}`, 'tiles', `t * SIDE * PITCH + ${i}u * SIDE / 8u`, pitch, 'row', shape)} ${dialect.accumulate(`sum${i}`, 'change', `key${i}`)}`, '\n      ')}
    }`;
}

/** dk and dv of the keys of a workgroup. */
export function matrixKeyGradCode(head: MatrixHead, variant: AttentionVariant): string {
  const { dialect, shape, scorePitch } = head;
  const present = variant.masked ? 'keySeen(args.first + head, firstKey + row)' : 'firstKey + row < args.keys';
  const columns = headSteps(head);
  const each = (code: (name: string, i: number) => string, separator: string): string => ['key', 'value'].map((name) => times(columns, (i) => code(name, i), separator)).join(separator);
  return `
${matrixHeadWgsl(head, variant, ['scores', 'flows'], ['changes', 'factors'])}
${NUMBERS}
${shownTile(variant, 'ROWS')}
var<workgroup> numbersTile: array<vec4u, BLOCK>;
${MATRIX_PLACE}
  let area = subgroup * BLOCK;
  let firstKey = index % args.blocks * ROWS;
  ${keepRows(head, 'k', 'right', 'head * args.keys + firstKey', present)}
  ${keepRows(head, 'v', 'right', 'head * args.keys + firstKey', present)}
  ${loadShown(variant, 'firstKey', 'ROWS')}
  ${each((name, i) => dialect.zero(`${name}Sum${i}`, shape), ' ')}
  // Queries before the first that sees the first key of the workgroup see none of its keys.
  let begin = u32(max(0, i32(firstKey) - args.reach));
  ${sweepBlocks(head, stageRows(head, ['q', 'dout'], 'head * args.queries', 'other < args.queries'), {
    from: 'begin', to: 'args.queries', besides: LOAD_NUMBERS, kept: 'right', products: [['scores', 'k', 0], ['flows', 'v', 1]],
    visit: `${keyBlock(variant)}
    workgroupBarrier();
    ${addToKeys(head, columns)}`,
  })}
  ${each((name, i) => writeMatrix(head, `${name}Sum${i}`, i, name === 'key' ? 'dk' : 'dv', 'head * args.keys + firstKey', 'args.keys - firstKey', name === 'key' ? ' * args.scale' : '', scorePitch), '\n  ')}
}`.trim();
}

const LOAD_NUMBERS = `// Beside a query's numbers, how many keys it sees.
    if (lane < BLOCK) {
      let query = min(start + lane, args.queries - 1u);
      numbersTile[lane] = vec4u(numbersOf(head, query).xyz, select(0u, visibleKeys(query), start + lane < args.queries));
    }`;

/** From scores to what goes into the sums of keys and values, octets of keys in rows of queries. */
function keyBlock(variant: AttentionVariant): string {
  return `
    for (var i = 0u; i < BLOCK * SIDE / 8u / SUBGROUP; i++) {
      let u = place + i * SUBGROUP;
      let row = u % BLOCK;
      let octet = u / BLOCK;
      let own = bitcast<vec4f>(numbersTile[row]);
      let limit = numbersTile[row].w;
      let inside = subgroup * SIDE + octet * 8u;
      ${variant.dropout ? 'let flat = wideProduct((args.first + head) * args.queries + start + row, args.keys);' : ''}
      ${times(2, (n) => `
      let seen${n} = seenKeys(firstKey + inside + ${4 * n}u, limit)${andShown(variant, `inside + ${4 * n}u`)};
      ${pairGradient(variant, n, '(area + row) * SCORE_PITCH + octet * 2u', 'own', 'flat', 'firstKey + inside')}`, '')}
      changes[(area + row) * HALF_PITCH + octet] = halvesOf(change0, change1);
      factors[(area + row) * HALF_PITCH + octet] = packedOf(factor0, factor1);
    }`;
}

/**
 * Of four pairs that `seen<n>` tells of: `factor<n>`, their probabilities after dropout, and `change<n>`, the gradients of their scores. Where a pair does not see each
 * other, exponentials may be infinite.
 */
function pairGradient({ dropout }: AttentionVariant, n: number, at: string, own: string, flat: string, key: string): string {
  const kept = dropout ? ` * kept${n}` : '';
  return `
      ${dropout ? `let kept${n} = keptKeys(${flat}, ${key} + ${4 * n}u);` : ''}
      let found${n} = select(vec4f(), exp(scoresOf(scores[${at} + ${n}u], seen${n}) - ${own}.x) * ${own}.y, seen${n});
      let factor${n} = found${n}${kept};
      let change${n} = select(vec4f(), found${n} * (flows[${at} + ${n}u]${kept} - ${own}.z), seen${n});`.trim();
}

/** Transposed probabilities times the upstream gradient, and transposed gradients of scores times queries. */
function addToKeys(head: MatrixHead, columns: number): string {
  const { side, block, dialect, shape, pitch, halfPitch } = head;
  const add = (left: string, sum: string, tile: number): string => `
      ${dialect.load('left', left, `${left}s`, '(area + t * SIDE) * HALF_PITCH', halfPitch, 'column', shape)}
      ${times(columns, (i) => `${dialect.load('right', `${sum}Row${i}`, 'tiles', `(${tile}u * BLOCK + t * SIDE) * PITCH + ${i}u * SIDE / 8u`, pitch, 'row', shape)} ${dialect.accumulate(`${sum}${i}`, left, `${sum}Row${i}`)}`, '\n      ')}`;
  return `for (var t = 0u; t < ${block / side}u; t++) {${add('factor', 'valueSum', 1)}${add('change', 'keySum', 0)}
    }`;
}

/** One matrix of every subgroup, through where the scores were, to columns of the workgroup's rows of a buffer. */
function writeMatrix({ side, dialect }: MatrixHead, sum: string, column: number, name: string, base: string, count: string, scaled: string, scorePitch: number): string {
  return `workgroupBarrier();
  ${dialect.store('scores', 'area * SCORE_PITCH', sum, scorePitch)}
  workgroupBarrier();
  for (var i = place; i < SIDE * SIDE / 4u; i += SUBGROUP) {
    let row = i / (SIDE / 4u);
    let quad = i % (SIDE / 4u);
    let inside = subgroup * SIDE + row;
    if (inside < ${count}) { ${name}[(${base} + inside) * QUADS + ${(column * side) / 4}u + quad] = vec4<f16>(scores[(area + row) * SCORE_PITCH + quad]${scaled}); }
  }`;
}

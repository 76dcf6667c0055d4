// WGSL of attention's gradient (Dao et al. 2022, Algorithm 4) in three kernels: what every query needs of its row, then the gradient
// of the queries over blocks of keys, then those of keys and values over blocks of queries. Probabilities are made again from stats.
import { FLAT_OF_KEY, loadKeys, placeWgsl, queryPlace, type AttentionVariant } from './attention-forward-wgsl.js';
import {
  dropoutWgsl, loadTiles, readerWgsl, sharesWgsl, sweepWgsl, tileQuad, tilesWgsl, tilingWgsl, times, writerWgsl, type HeadTiling,
} from './attention-wgsl.js';
import { eachUnit, holdRow, rowMain, rowSum } from './rows-wgsl.js';
import type { RowPlan } from './rows.js';

/**
 * Per head the words of the random key, then of each query's largest score, 1 / Σ and Σ dout·out: one buffer for all, because a
 * kernel may have eight. Rows are the queries of all heads.
 */
export function numbersCode(plan: RowPlan, dropout: boolean): string {
  const [upstream, out] = [holdRow(plan, 'dout'), holdRow(plan, 'out')];
  return [rowSum(plan), rowMain(plan, `
  ${upstream.declare} ${out.declare}
  var part = 0.0;
  ${eachUnit(plan, `${upstream.load} ${out.load} part += sumOf(${upstream.value} * ${out.value});`)}
  let delta = rowSum(lane, part);
  if (live && place == 0u) {
    let entry = row + row / args.queries + 1u;
    numbers[entry] = vec4u(bitcast<vec2u>(stats[row]), bitcast<u32>(delta), 0u);
    ${dropout ? 'if (row % args.queries == 0u) { numbers[entry - 1u] = vec4u(key[0], key[1], 0u, 0u); }' : ''}
  }`)].join('\n');
}

function head(tiling: HeadTiling, variant: AttentionVariant, declare: readonly string[], tiles: readonly string[]): string {
  return `
${tilingWgsl(tiling)}
${placeWgsl(variant)}
${['q', 'k', 'v', 'dout'].map((name) => readerWgsl(tiling, name)).join('\n')}
fn numbersOf(head: u32, query: u32) -> vec3f { return bitcast<vec3f>(numbers[head * (args.queries + 1u) + 1u + query].xyz); }
fn randomKey() -> vec2u { return numbers[0].xy; }
${declare.join('\n')}
${tilesWgsl(tiles)}
${sharesWgsl(tiling, 2)}
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let index = group.y * groups.x + group.x;
  if (index >= args.groups) { return; }`.trim();
}

/** dq of a query per lane. */
export function queryGradCode(tiling: HeadTiling, variant: AttentionVariant): string {
  const { own } = tiling;
  const kept = dropoutWgsl(tiling, variant.dropout, FLAT_OF_KEY, variant.evenKeys);
  const declare = [kept.declare, writerWgsl(tiling, 'dq', variant.dtype), 'var<workgroup> seenTile: array<u32, BLOCK>;'];
  return `
${head(tiling, variant, declare, ['k', 'v'])}
${queryPlace(variant)}
  ${times(own, (i) => `let query${i} = read_q(mine, ${i}u * PARTS + part) * args.scale; let dout${i} = read_dout(mine, ${i}u * PARTS + part); var sum${i} = vec4f();`, '\n  ')}
  let own = numbersOf(head, query);
  for (var start = 0u; start < end; start += BLOCK) {
    ${loadKeys()}
    ${sweepWgsl(tiling, {
      scores: [['score', 'query', 'k'], ['flow', 'dout', 'v']],
      seen: 'start + j < limit && seenTile[j] != 0u',
      count: 'min(BLOCK, end - start)',
      kept,
      visit: `
        let change = exp(score - own.x) * own.y * (flow * kept - own.z);
        ${times(own, (i) => `sum${i} += change * ${tileQuad(tiling, 'k', i)};`, '\n        ')}`,
    })}
  }
  if (!live) { return; }
  ${times(own, (i) => `write_dq(mine, ${i}u * PARTS + part, sum${i} * args.scale);`, '\n  ')}
}`.trim();
}

/** dk and dv of a key per lane. The tiles of q are scaled: so is dk. */
export function keyGradCode(tiling: HeadTiling, variant: AttentionVariant): string {
  const { own } = tiling;
  const kept = dropoutWgsl(tiling, variant.dropout, 'wideSum(wideProduct(firstRow + start + j, args.keys), key)', false);
  const declare = [kept.declare, writerWgsl(tiling, 'dk', variant.dtype), writerWgsl(tiling, 'dv', variant.dtype), 'var<workgroup> numbersTile: array<vec3f, BLOCK>;'];
  return `
${head(tiling, variant, declare, ['q', 'dout'])}
  let head = index / args.blocks;
  let row = lane / PARTS;
  let part = lane % PARTS;
  let firstKey = index % args.blocks * ROWS;
  let live = firstKey + row < args.keys;
  let key = min(firstKey + row, args.keys - 1u);
  let mine = head * args.keys + key;
  let firstRow = (args.first + head) * args.queries;
  let shown = live && keySeen(args.first + head, key);
  ${times(own, (i) => `let key${i} = read_k(mine, ${i}u * PARTS + part); let value${i} = read_v(mine, ${i}u * PARTS + part);
  var keySum${i} = vec4f(); var valueSum${i} = vec4f();`, '\n  ')}
  // Queries before the first that sees the first key of the workgroup see none of its keys.
  let begin = u32(max(0, i32(firstKey) - args.reach));
  for (var start = begin; start < args.queries; start += BLOCK) {
    workgroupBarrier();
    ${loadTiles(['q', 'dout'], 'head * args.queries', 'args.queries')}
    if (lane < BLOCK) { numbersTile[lane] = numbersOf(head, min(start + lane, args.queries - 1u)); }
    workgroupBarrier();
    ${sweepWgsl(tiling, {
      scores: [['score', 'key', 'q'], ['flow', 'value', 'dout']],
      seen: 'shown && key < visibleKeys(start + j)',
      count: 'min(BLOCK, args.queries - start)',
      kept,
      visit: `
        let probability = exp(score - numbersTile[j].x) * numbersTile[j].y;
        let change = probability * (flow * kept - numbersTile[j].z);
        let factor = probability * kept;
        ${times(own, (i) => `keySum${i} += change * ${tileQuad(tiling, 'q', i)}; valueSum${i} += factor * ${tileQuad(tiling, 'dout', i)};`, '\n        ')}`,
    })}
  }
  if (!live) { return; }
  ${times(own, (i) => `write_dk(mine, ${i}u * PARTS + part, keySum${i}); write_dv(mine, ${i}u * PARTS + part, valueSum${i});`, '\n  ')}
}`.trim();
}

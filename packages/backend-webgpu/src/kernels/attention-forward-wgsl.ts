// WGSL of attention: a lane has a query, its running softmax and its sums; blocks of keys and values pass by (Dao et al. 2022,
// Algorithm 1).
import {
  dropoutWgsl, loadTiles, readerWgsl, sharesWgsl, sweepWgsl, tileQuad, tilesWgsl, tilingWgsl, times, writerWgsl, type HeadTiling,
} from './attention-wgsl.js';
import { LOWEST } from './rows-wgsl.js';
import type { DType } from '@xmoe/core';

/** What programs of attention differ in, apart from the size of the head. */
export interface AttentionVariant {
  readonly dtype: DType;
  readonly masked: boolean;
  readonly dropout: boolean;
  /** The number of keys is even: neighbours in a row share a block of random numbers. */
  readonly evenKeys: boolean;
}

/** Where the kernels find themselves; \`visibleKeys(query)\`: how many leading keys a query may see. */
export function placeWgsl({ masked }: AttentionVariant): string {
  return `
fn visibleKeys(query: u32) -> u32 { return u32(clamp(i32(query) + 1 + args.reach, 0, i32(args.keys))); }
fn keySeen(head: u32, key: u32) -> bool {
  ${masked ? 'return key < args.keys && keyMask[head / args.heads * args.keys + min(key, args.keys - 1u)] != 0u;' : 'return key < args.keys;'}
}`.trim();
}

export function attentionCode(tiling: HeadTiling, variant: AttentionVariant): string {
  const { own } = tiling;
  const { dtype, dropout, evenKeys } = variant;
  const kept = dropoutWgsl(tiling, dropout, FLAT_OF_KEY, evenKeys);
  return `
${tilingWgsl(tiling)}
${placeWgsl(variant)}
${['q', 'k', 'v'].map((name) => readerWgsl(tiling, name)).join('\n')}
${writerWgsl(tiling, 'out', dtype)}
${dropout ? 'fn randomKey() -> vec2u { return vec2u(key[0], key[1]); }' : ''}
${kept.declare}
${tilesWgsl(['k', 'v'])}
${sharesWgsl(tiling, 1)}
var<workgroup> seenTile: array<u32, BLOCK>;
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let index = group.y * groups.x + group.x;
  if (index >= args.groups) { return; }
${queryPlace(variant)}
  ${times(own, (i) => `let query${i} = read_q(mine, ${i}u * PARTS + part) * args.scale; var sum${i} = vec4f();`, '\n  ')}
  var peak = ${LOWEST};
  var weight = 0.0;
  for (var start = 0u; start < end; start += BLOCK) {
    ${loadKeys()}
    ${sweepWgsl(tiling, {
      scores: [['score', 'query', 'k']],
      seen: 'start + j < limit && seenTile[j] != 0u',
      count: 'min(BLOCK, end - start)',
      kept,
      visit: `
        if (score > peak) {
          let shrink = exp(peak - score);
          peak = score;
          weight *= shrink;
          ${times(own, (i) => `sum${i} *= shrink;`, ' ')}
        }
        let probability = exp(score - peak);
        weight += probability;
        let factor = probability * kept;
        ${times(own, (i) => `sum${i} += factor * ${tileQuad(tiling, 'v', i)};`, '\n        ')}`,
    })}
  }
  if (!live) { return; }
  let inverse = select(1.0 / weight, 0.0, weight == 0.0);
  ${times(own, (i) => `write_out(mine, ${i}u * PARTS + part, sum${i} * inverse);`, '\n  ')}
  if (part == 0u) { stats[mine] = vec2f(peak, inverse); }
}`.trim();
}

/** The flat index of the lane's query and key \`start + j\`, of 64 bits: there may be more than 2³² pairs. Needs \`flat\`. */
export const FLAT_OF_KEY = 'wideSum(flat, start + j)';

/** The query of a lane: later queries see more keys, so they begin first. \`mine\` is its row, \`flat\` where its probabilities begin. */
export function queryPlace({ dropout }: AttentionVariant): string {
  return `
  let head = index / args.blocks;
  let row = lane / PARTS;
  let part = lane % PARTS;
  let firstQuery = (args.blocks - 1u - index % args.blocks) * ROWS;
  let live = firstQuery + row < args.queries;
  let query = min(firstQuery + row, args.queries - 1u);
  let mine = head * args.queries + query;
  ${dropout ? 'let flat = wideProduct(args.first * args.queries + mine, args.keys);' : ''}
  let limit = visibleKeys(query);
  let end = visibleKeys(min(firstQuery + ROWS, args.queries) - 1u);`;
}

/** The block of keys and values from \`start\` on, and which of them the mask shows. */
export function loadKeys(): string {
  return `
    workgroupBarrier();
    ${loadTiles(['k', 'v'], 'head * args.keys', 'args.keys')}
    if (lane < BLOCK) { seenTile[lane] = u32(keySeen(args.first + head, start + lane)); }
    workgroupBarrier();`;
}

// dispatchClaims: the dispatch plan of a routing group, in three launches whatever the path and without a read-back.
// `partition`: tiles of claims drop the unused ones and gather the rest by expert. `order`: each expert's claims are sorted in runs
// of 1,024, a workgroup each; on the budget path one more workgroup selects the last claim that is kept, first by rank, then
// among the scores of that rank alone. `place`: a claim's place among those of its expert is how many are before it in the
// runs of that expert; counts say where the expert begins.
// Keys are (rank, score, token) in 64 bits and never equal, so no result depends on which workgroup was first. The WGSL is in
// dispatch-wgsl.ts.
import type { Kernels, Operand } from '@xmoe/core';
import { reads, writes } from '../runtime/program.js';
import type { Runtime } from '../runtime/runtime.js';
import { orderWgsl, partitionWgsl, placeWgsl, type ClaimOrder } from './dispatch-wgsl.js';
import { ORDER_GROUP, RUN } from './order-wgsl.js';

/** A lane of `order` reads the counts of one tile. */
const MOST_TILES = ORDER_GROUP;
const LEAST_TILE = 4 * ORDER_GROUP;
/** Counters of experts and ranks that fit the memory of a workgroup beside the rest; more are kept in the table itself. */
const MOST_SHARED_COUNTERS = 2048;
/** About so many workgroups share the experts. */
const WORKERS = 512;

export function dispatchKernels(runtime: Runtime) {
  return {
    dispatchClaims({ expertIds, scores }, { rowClaim, rowToken, claimRow, offsets, wanted, load }, { dispatch, rankOnly }) {
      const [tokens, choices] = expertIds.shape as [number, number];
      const claims = tokens * choices;
      // Without experts: one to whom nothing belongs.
      const experts = Math.max(1, load.shape[0]!);
      const by: ClaimOrder = dispatch === 'grouped' ? 'claim' : rankOnly ? 'rank' : 'score';
      const budget = dispatch === 'budget';
      const tile = Math.max(LEAST_TILE, ORDER_GROUP * Math.ceil(claims / (MOST_TILES * ORDER_GROUP)));
      const tiles = Math.ceil(claims / tile);
      const workers = Math.min(Math.max(1, Math.ceil(claims / RUN)), Math.ceil(WORKERS / experts));
      const args = {
        tokens, choices, claims, experts, tile, tiles, workers, known: load.shape[0]!, rows: rowClaim.shape[0]!,
        rankBits: bitsFor(choices), tokenBits: bitsFor(tokens), capacity: Math.floor(rowClaim.shape[0]! / experts),
      };
      const keys = runtime.scratch('uint32', [tiles * tile, 2]);
      const ends = runtime.scratch('uint32', [tiles, experts]);
      const sorted = runtime.scratch('uint32', [claims, 2]);
      const plan = runtime.scratch('uint32', [experts + 3]);
      const scored: Record<string, Operand> = by === 'score' ? { scores } : {};
      const ranked: Record<string, Operand> = budget ? { ranks: runtime.scratch('uint32', [tiles, choices]) } : {};
      partition(runtime, by, { ids: expertIds, ...scored, claimRow, keys, ends, ...ranked }, args);
      order(runtime, by, { keys, ends, sorted, plan, wanted, ...(budget ? { ids: expertIds, ...scored, ...ranked } : {}) }, args);
      const place = runtime.program(`dispatchClaims place ${dispatch} ${by}`, () => ({
        buffers: {
          sorted: reads('vec2<u32>'), plan: reads('u32'), rowClaim: writes('i32'), rowToken: writes('i32'), claimRow: writes('i32'),
          offsets: writes('i32'), load: writes('i32'),
        },
        args: { experts: 'u32', choices: 'u32', workers: 'u32', rankBits: 'u32', rows: 'u32', capacity: 'u32' },
        code: placeWgsl(dispatch, by),
      }));
      runtime.run(place, { sorted, plan, rowClaim, rowToken, claimRow, offsets, load }, args, runtime.fold(experts * workers));
    },
  } satisfies Partial<Kernels>;
}

type Buffers = Readonly<Record<string, Operand>>;
type Args = Readonly<Record<string, number>>;

function partition(runtime: Runtime, by: ClaimOrder, buffers: Buffers, args: Args): void {
  const ranked = 'ranks' in buffers;
  const shared = args.experts! + (ranked ? args.choices! : 0) <= MOST_SHARED_COUNTERS;
  const counter = shared ? 'u32' : 'atomic<u32>';
  const program = runtime.program(`dispatchClaims partition ${by}${ranked ? ' ranks' : ''}${shared ? '' : ' many'}`, () => ({
    buffers: {
      ids: reads('i32'), ...(by === 'score' ? { scores: reads('u32') } : {}), claimRow: writes('i32'), keys: writes('vec2<u32>'),
      ends: writes(counter), ...(ranked ? { ranks: writes(counter) } : {}),
    },
    args: { claims: 'u32', choices: 'u32', experts: 'u32', known: 'u32', tile: 'u32', rankBits: 'u32' },
    code: partitionWgsl({ by, ranked, shared: shared ? MOST_SHARED_COUNTERS : null }),
  }));
  runtime.run(program, buffers, args, [args.tiles!]);
}

function order(runtime: Runtime, by: ClaimOrder, buffers: Buffers, args: Args): void {
  const budget = 'ranks' in buffers;
  const program = runtime.program(`dispatchClaims order ${budget ? `budget ${by}` : 'runs'}`, () => ({
    buffers: {
      keys: reads('vec2<u32>'), ends: reads('u32'), sorted: writes('vec2<u32>'), plan: writes('u32'), wanted: writes('i32'),
      ...(budget ? { ids: reads('i32'), ranks: reads('u32'), ...(by === 'score' ? { scores: reads('u32') } : {}) } : {}),
    },
    args: {
      experts: 'u32', tile: 'u32', tiles: 'u32', workers: 'u32',
      ...(budget ? { known: 'u32', choices: 'u32', tokens: 'u32', rows: 'u32', rankBits: 'u32', tokenBits: 'u32' } as const : {}),
    },
    code: orderWgsl(budget ? by : null),
  }));
  runtime.run(program, buffers, args, runtime.fold(args.experts! * args.workers! + (budget ? 1 : 0)));
}

/** Bits that tell `count` things apart. Those of ranks and tokens together are at most 32 for claims that a device can hold. */
function bitsFor(count: number): number {
  return Math.ceil(Math.log2(Math.max(1, count)));
}

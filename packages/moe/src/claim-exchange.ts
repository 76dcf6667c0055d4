// Which row of which rank goes where, and the transfers of rows between the ranks that hold experts together. Integers of the host; what is
// computed with the rows is spread-experts.ts.
import type { Engine, Tensor } from '@xmoe/core';
import { expertsOfRank, type ExpertRanks } from './expert-ranks.js';
import type { DispatchPlan } from './plan.js';

/** Rows of one rank's micro-batch among those that its experts' rank holds, in segments by expert. */
export interface SourceRows {
  /** int32: their places among the rows by expert. */
  readonly rows: Tensor;
  /** int32: their places among the rows as they came. */
  readonly from: Tensor;
  /** int32 [experts here + 1] */
  readonly offsets: Tensor;
}

/** U rows are sent, V are here: those of all ranks, as they came (by rank, then by expert) or by expert (then by rank). All int32. */
export interface ExchangeTables {
  /** [U]: the token and the claim of each row that is sent. */
  readonly sentTokens: Tensor;
  readonly sentClaims: Tensor;
  /** [R]: where a row of the plan is among those sent; −1 for an empty one. */
  readonly backRow: Tensor;
  /** [T·K]: where a claim is among those sent; −1 for one without a row. */
  readonly backClaim: Tensor;
  /** [V]: of each row by expert, its place as it came. */
  readonly order: Tensor;
  /** [V]: the inverse. */
  readonly place: Tensor;
  /** [experts here + 1]: of the rows by expert. */
  readonly offsets: Tensor;
}

export interface ClaimExchange {
  tables(engine: Engine): ExchangeTables;
  /** For each rank in their order. */
  bySource(engine: Engine): SourceRows[];
  /** float32 [U, columns] of this rank's rows → [V, columns] of the rows that are here, as they came. Called by all ranks. */
  toExperts(rows: Tensor): Tensor;
  /** [V, columns] → [U, columns]: the way back. */
  toTokens(rows: Tensor): Tensor;
}

/** Exchanges the counts. Called by all ranks. */
export function createClaimExchange(plan: DispatchPlan, ranks: ExpertRanks): ClaimExchange {
  const sent = rowsToSend(plan);
  const spans = Array.from({ length: ranks.size }, (_, rank) => expertsOfRank(plan.experts, { rank, size: ranks.size }));
  const mine = spans[ranks.rank]!.count;
  const counts = new Int32Array(ranks.size * mine); // [rank, expert here]
  ranks.allToAllVNow(sent.perExpert, Int32Array.from(spans, ({ count }) => count), counts, new Int32Array(ranks.size).fill(mine));
  const toRank = Int32Array.from(spans, ({ begin, count }) => total(sent.perExpert.subarray(begin, begin + count)));
  const fromRank = Int32Array.from({ length: ranks.size }, (_, rank) => total(counts.subarray(rank * mine, (rank + 1) * mine)));
  const here = placesByExpert(counts, ranks.size, mine);
  const transfer = (rows: Tensor, out: Int32Array, back: Int32Array): Tensor => {
    const { engine, shape } = rows;
    const width = shape[1]!;
    const data = rows.dataSync() as Float32Array | Float64Array;
    const received = new (data.constructor as Float32ArrayConstructor)(total(back) * width);
    ranks.allToAllVNow(data as Float32Array, out.map((count) => count * width), received, back.map((count) => count * width));
    const tensor = engine.empty([total(back), width]);
    tensor.write(received);
    return tensor;
  };
  return {
    tables(engine) {
      const put = (values: Int32Array): Tensor => engine.tensor(values, [values.length], 'int32');
      return {
        sentTokens: put(sent.tokens), sentClaims: put(sent.claims), backRow: put(sent.backRow), backClaim: put(sent.backClaim),
        order: put(here.order), place: put(here.place), offsets: put(here.offsets),
      };
    },
    bySource(engine) {
      const put = (values: readonly number[]): Tensor => engine.tensor(Int32Array.from(values), [values.length], 'int32');
      return Array.from({ length: ranks.size }, (_, source) => {
        const [rows, from, offsets]: [number[], number[], number[]] = [[], [], [0]];
        for (let expert = 0; expert < mine; expert++) {
          const first = here.first[source * mine + expert]!;
          for (let index = 0; index < counts[source * mine + expert]!; index++) {
            rows.push(first + index);
            from.push(here.order[first + index]!);
          }
          offsets.push(rows.length);
        }
        return { rows: put(rows), from: put(from), offsets: put(offsets) };
      });
    },
    toExperts: (rows) => transfer(rows, toRank, fromRank),
    toTokens: (rows) => transfer(rows, fromRank, toRank),
  };
}

const total = (counts: Int32Array): number => counts.reduce((sum, count) => sum + count, 0);

/** The rows of the plan that hold a claim, by expert: what they are, and the way back. */
function rowsToSend({ experts, rows, claimRow, ...plan }: DispatchPlan) {
  const [rowClaim, rowToken, offsets] = [plan.rowClaim, plan.rowToken, plan.offsets].map((tensor) => tensor.dataSync() as Int32Array) as [Int32Array, Int32Array, Int32Array];
  const perExpert = new Int32Array(experts);
  const backRow = new Int32Array(rows).fill(-1);
  const backClaim = new Int32Array(claimRow.size).fill(-1);
  const [sentTokens, sentClaims]: [number[], number[]] = [[], []];
  for (let expert = 0; expert < experts; expert++) {
    for (let row = offsets[expert]!; row < offsets[expert + 1]!; row++) {
      if (rowClaim[row]! < 0) continue;
      backRow[row] = backClaim[rowClaim[row]!] = sentTokens.length;
      sentTokens.push(rowToken[row]!);
      sentClaims.push(rowClaim[row]!);
      perExpert[expert]!++;
    }
  }
  return { perExpert, backRow, backClaim, tokens: Int32Array.from(sentTokens), claims: Int32Array.from(sentClaims) };
}

/** The rows that came, by expert. @param counts [sources, experts] */
function placesByExpert(counts: Int32Array, sources: number, experts: number) {
  const length = total(counts);
  const [order, place, first] = [new Int32Array(length), new Int32Array(length), new Int32Array(counts.length)];
  const offsets = new Int32Array(experts + 1);
  const came = new Int32Array(counts.length);
  for (let index = 1; index < counts.length; index++) came[index] = came[index - 1]! + counts[index - 1]!;
  let next = 0;
  for (let expert = 0; expert < experts; expert++) {
    for (let source = 0; source < sources; source++) {
      const from = source * experts + expert;
      first[from] = next;
      for (let index = 0; index < counts[from]!; index++, next++) {
        order[next] = came[from]! + index;
        place[order[next]!] = next;
      }
    }
    offsets[expert + 1] = next;
  }
  return { order, place, first, offsets };
}

// The golden numbers through the tensor routers, plans and layer, as tests of any backend. Which backends is up to the
// files that call this; the plain-array twins have their own: packages/{routers,moe}/test/reference.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { add, createEngine, multiply, sum, valueAndGrad, type Backend, type Engine, type ForwardContext, type Tensor } from '@xmoe/core';
import { createMoeFeedForward, planDispatch, summarizeTrace, type DispatchPlan } from '@xmoe/moe';
import {
  createBaseRouter, createHashRouter, createSwitchRouter, createThresholdRouter, createTopKRouter, readRouterStatistics, routerStatistics,
  type Router, type Routing,
} from '@xmoe/routers';
import { assignmentScore } from '@xmoe/routers/reference';
import { goldenBase, goldenHash, goldenLayer, goldenThreshold, goldenTopK, type GoldenLayerCase, type Rows } from '../src/golden/index.js';

function route(engine: Engine, router: Router, logits: Rows, options: { training?: boolean; tokenIds?: readonly number[] } = {}): Routing {
  const [tokens, experts] = [logits.length, logits[0].length];
  return router.route({
    engine,
    tokens,
    experts,
    logits: engine.tensor(logits.flat(), [tokens, experts], 'float32'),
    training: options.training,
    tokenIds: options.tokenIds ? engine.tensor([...options.tokenIds], [tokens], 'int32') : null,
  });
}

interface Kept {
  token: number;
  expert: number;
  rank: number;
  slot: number;
  weight: number;
}

/** The kept claims of a padded plan by token, then expert. */
async function keptOf(routing: Routing, plan: DispatchPlan): Promise<Kept[]> {
  const K = routing.maxChoices;
  const [ids, weights, rowClaim] = [await routing.expertIds.data(), await routing.weights.data(), await plan.rowClaim.data()];
  const kept = Array.from(rowClaim).flatMap((claim, row) =>
    claim < 0 ? [] : [{ token: Math.floor(claim / K), expert: ids[claim], rank: claim % K, slot: row - ids[claim] * plan.capacity, weight: weights[claim] }],
  );
  return kept.toSorted((a, b) => a.token - b.token || a.expert - b.expert);
}

const pairs = (rows: readonly { token: number; expert: number }[]): number[][] => rows.map(({ token, expert }) => [token, expert]);

/** |actual − expected| ≤ relative · max(|expected|) over the whole array. */
function expectClose(name: string, actual: ArrayLike<number>, expected: readonly number[], relative: number): void {
  expect(actual.length, name).toBe(expected.length);
  const scale = Math.max(...expected.map(Math.abs));
  const worst = Math.max(...expected.map((value, index) => Math.abs(actual[index] - value)));
  expect(worst, name).toBeLessThanOrEqual(relative * scale);
}

const transpose = (rows: Rows): number[][] => rows[0].map((_, column) => rows.map((row) => row[column]));

/** Registers the tests. The backend is made before the first and disposed after the last. */
export function describeGolden(name: string, create: () => Backend | Promise<Backend>): void {
  describe(`golden data on ${name}`, () => {
    let engine: Engine;
    beforeAll(async () => void (engine = createEngine(await create())));
    afterAll(() => engine.dispose());

    describe.each(goldenThreshold)('threshold T=$T N=$N', ({ logits, cases, T, N }) => {
      it.each(cases)('t=$threshold γ=$gamma least $min_capacity', async (golden) => {
        const routing = route(engine, createThresholdRouter({ threshold: golden.threshold }), logits);
        const everything = await keptOf(routing, planDispatch(routing, { dispatch: 'padded', capacityFactor: N }));
        expect(pairs(everything)).toEqual(golden.wanted_pairs);
        expect([...(await routing.counts.data())]).toEqual(golden.wanted_per_token);
        expect(await routing.balanceLoss!.item()).toBeCloseTo(golden.l_aux, 5);
        const statistics = await readRouterStatistics(routerStatistics(routing));
        expect(statistics.expertsPerToken).toBeCloseTo(golden.want_num, 6);
        expect(statistics.topOneMassMean).toBeCloseTo(golden.top1_p_mean, 5);
        expect([...statistics.wantedPerExpert].map((load) => (100 * load) / T)).toEqual(golden.receive_percent);

        const plan = planDispatch(routing, { dispatch: 'padded', capacityFactor: golden.gamma, minCapacity: golden.min_capacity });
        expect(plan.capacity).toBe(golden.capacity);
        const kept = await keptOf(routing, plan);
        expect(pairs(kept)).toEqual(golden.kept.map(([token, expert]) => [token, expert]));
        kept.forEach(({ slot, weight }, index) => {
          expect(Math.abs(weight - golden.kept[index][3])).toBeLessThanOrEqual(1e-6);
          if (golden.min_slot_priority_gap > 1e-5) expect(slot).toBe(golden.kept[index][2]);
        });
      });
    });

    describe.each(goldenTopK)('top-k T=$T N=$N', ({ logits, cases, N }) => {
      it.each(cases)('k=$k γ=$gamma', async (golden) => {
        for (const rankOnlyPriority of [false, true]) {
          const routers = [createTopKRouter({ k: golden.k, rankOnlyPriority }), ...(golden.k === 1 ? [createSwitchRouter({ rankOnlyPriority })] : [])];
          for (const router of routers) {
            const routing = route(engine, router, logits);
            expect(await routing.balanceLoss!.item()).toBeCloseTo(golden.l_aux, 5);
            const tally = (claims: readonly Kept[]): number[][] => {
              const table = Array.from({ length: N }, () => new Array<number>(golden.k).fill(0));
              for (const { expert, rank } of claims) table[expert][rank]++;
              return table;
            };
            const received = await keptOf(routing, planDispatch(routing, { dispatch: 'padded', capacityFactor: N }));
            expect(tally(received)).toEqual(golden.received_by_expert_and_rank);
            const plan = planDispatch(routing, { dispatch: 'padded', capacityFactor: golden.gamma, minCapacity: golden.min_capacity });
            const kept = await keptOf(routing, plan);
            expect(plan.capacity).toBe(golden.capacity);
            expect(tally(kept)).toEqual(golden.kept_by_expert_and_rank);
            expect(kept.length < received.length).toBe(golden.capacity_binds);
            const expected = golden.kept_pairs_weight ?? [];
            if (golden.capacity_binds) continue;
            expect(pairs(kept)).toEqual(expected.map(([token, expert]) => [token, expert]));
            kept.forEach(({ weight }, index) => expect(Math.abs(weight - expected[index][2])).toBeLessThanOrEqual(1e-6));
          }
        }
      });
    });

    describe.each(goldenBase)('BASE T=$T N=$N', ({ logits, T, N, train, eval: evaluations }) => {
      it('training is balanced, near the optimum, and drops nothing; refused where the host cannot look', async () => {
        if (!engine.backend.readSync) {
          expect(() => route(engine, createBaseRouter(), logits, { training: true })).toThrow('cannot read synchronously');
          return;
        }
        const routing = route(engine, createBaseRouter({ epsilon: train.epsilon }), logits, { training: true });
        const ids = Array.from(await routing.expertIds.data());
        const score = assignmentScore(logits.flat(), N, ids);
        expect(score).toBeLessThanOrEqual(train.optimal_score + 1e-9);
        expect(score).toBeGreaterThanOrEqual(train.optimal_score - T * train.epsilon);
        const plan = planDispatch(routing, { dispatch: 'padded' });
        expect([...(await plan.keptPerExpert!.data())]).toEqual(new Array(N).fill(T / N));
        (await routing.weights.data()).forEach((weight: number, token: number) => {
          expect(weight).toBeCloseTo(1 / (1 + Math.exp(-logits[token][ids[token]])), 5);
        });
      });

      it('gives the published weights to the published assignment', async () => {
        const published = train.token_expert_weight.map(([token, expert]) => [logits[token][expert]]);
        const weights = await route(engine, createBaseRouter(), published).weights.data();
        train.token_expert_weight.forEach(([, , weight], index) => expect(weights[index]).toBeCloseTo(weight, 5));
      });

      it.each(evaluations)('evaluation γ=$gamma', async (golden) => {
        const plan = planDispatch(route(engine, createBaseRouter(), logits), { dispatch: 'padded', capacityFactor: golden.gamma });
        expect(plan.capacity).toBe(golden.capacity);
        expect([...(await plan.wantedPerExpert!.data())]).toEqual(golden.received);
        expect([...(await plan.keptPerExpert!.data())]).toEqual(golden.kept);
      });
    });

    it.each(goldenHash)('hash T=$T N=$N γ=$gamma', async ({ map, token_ids: tokenIds, N, gamma, capacity, received, kept }) => {
      const zeros = tokenIds.map(() => new Array<number>(N).fill(0));
      const routing = route(engine, createHashRouter({ map }), zeros, { tokenIds });
      const plan = planDispatch(routing, { dispatch: 'padded', capacityFactor: gamma });
      expect(plan.capacity).toBe(capacity);
      expect([...(await plan.wantedPerExpert!.data())]).toEqual(received);
      expect([...(await plan.keptPerExpert!.data())]).toEqual(kept);
      expect(new Set(await routing.weights.data())).toEqual(new Set([1]));
    });

    describe.each(goldenLayer)('layer t=$threshold γ=$gamma N=$N', (golden) => {
      const relative = (): number => (engine.backend.name === 'cpu:float64' ? 1e-9 : 1e-5);

      it('forward and gradients', async () => {
        const { output, gradients, trace, auxLoss } = runGolden(engine, golden, true);
        const { N, d, ffn: s, T } = golden;
        expectClose('y', await output.data(), golden.y.flat(), relative());
        expect(await auxLoss.item()).toBeCloseTo(0.01 * golden.l_aux, 7);
        const summary = await summarizeTrace(trace);
        expect(summary.positiveShare).toBeCloseTo(golden.positive_share_routed_only, 12);
        const claimRow = await trace.perToken!.claimRow.data();
        const served = (token: number): boolean => claimRow.slice(token * N, token * N + N).some((row) => row >= 0);
        expect(Array.from({ length: T }, (_, token) => token).filter((token) => !served(token))).toEqual(golden.dropped_tokens);
        expectClose('dx', await gradients.x.data(), golden.grad_x.flat(), relative());
        expectClose('dRouter', await gradients['m.router.weight'].data(), transpose(golden.grad_router).flat(), relative());
        expectClose('dW1', (await gradients['m.experts.w1'].data()).slice(0, d * s), transpose(golden.grad_w1_expert0).flat(), relative());
        expectClose('db2', (await gradients['m.experts.b2'].data()).slice(0, d), golden.grad_b2_expert0, relative());
      });

      it('gradients of the auxiliary loss alone', async () => {
        const { gradients } = runGolden(engine, golden, false);
        // The layer scales its loss by 0.01; the golden gradient is of the unscaled one.
        expectClose('dx', (await gradients.x.data()).map((value: number) => value * 100), golden.grad_aux_x.flat(), 3 * relative());
        const router = (await gradients['m.router.weight'].data()).map((value: number) => value * 100);
        expectClose('dRouter', router, transpose(golden.grad_aux_router).flat(), 3 * relative());
      });
    });
  });
}

/** A tensor with all digits of the numbers, where the engine stores them. */
function exact(engine: Engine, values: readonly number[], shape: readonly number[]): Tensor {
  const tensor = engine.zeros(shape);
  tensor.write(values);
  return tensor;
}

/** The layer of a golden case: gradients of Σ y·upstream (if asked for) + 0.01·auxiliary loss. */
function runGolden(engine: Engine, golden: GoldenLayerCase, withOutput: boolean) {
  const { T, N, d, ffn: s } = golden;
  const layer = createMoeFeedForward({
    name: 'm', width: d, hidden: s, experts: N, router: { type: 'threshold', threshold: golden.threshold }, capacityFactor: golden.gamma,
    minCapacity: golden.min_capacity, initStd: 1, trackPositive: true,
  });
  const leaves = {
    x: exact(engine, golden.x.flat(), [T, d]),
    'm.router.weight': exact(engine, transpose(golden.router_weight).flat(), [d, N]),
    'm.experts.w1': exact(engine, golden.w1.flatMap((expert) => transpose(expert).flat()), [N, d, s]),
    'm.experts.b1': exact(engine, golden.b1.flat(), [N, s]),
    'm.experts.w2': exact(engine, golden.w2.flatMap((expert) => transpose(expert).flat()), [N, s, d]),
    'm.experts.b2': exact(engine, golden.b2.flat(), [N, d]),
  };
  const upstream = exact(engine, golden.upstream_grad.flat(), [T, d]);
  const context: ForwardContext = { training: true, key: null, computeDType: 'float32', tokenIds: null, mask: null, collect: 'tokens' };
  const { aux, gradients } = valueAndGrad(
    engine,
    (inputs) => {
      const { output, auxLoss, trace } = layer.apply(inputs, inputs.x, context);
      const main = sum(multiply(output, upstream));
      return { loss: withOutput ? add(main, auxLoss!) : auxLoss!, aux: { output, auxLoss: auxLoss!, trace: trace! } };
    },
    leaves,
  );
  return { ...aux, gradients };
}

// How evenly the routers with a state load their experts, and how well they hold a cost, on gates whose tokens are drawn anew in each update. It
// counts and times nothing; one backend does.
import { add, bincount, matmul, multiply, randomKey, randomNormal, sum, type Engine, type Tensor } from '@xmoe/core';
import { initialState, type Router } from '@xmoe/routers';
import { createRouter, type RouterConfig } from '@xmoe/routers/by-name';
import { disposeAll, type Device } from './forward-backward.js';
import type { Row, Table } from './table.js';

const K = 8;
/** Directions in which tokens differ; their mean lies in the same space, which is what makes some experts preferred. */
const WIDTH = 64;

interface Arm {
  readonly label: string;
  readonly config: RouterConfig;
}

const BALANCED: readonly Arm[] = [
  { label: 'quantile', config: { type: 'quantile', k: K } },
  { label: 'quantile, as published', config: { type: 'quantile', k: K, decay: 0 } },
  { label: 'quantile, softmax', config: { type: 'quantile', k: K, scores: 'softmax' } },
  { label: 'expert-threshold', config: { type: 'expert-threshold', k: K } },
  { label: 'expert-threshold, nearest', config: { type: 'expert-threshold', k: K, fallback: 'nearest' } },
  { label: 'sign-bias', config: { type: 'sign-bias', k: K } },
];

interface BalanceShape {
  readonly experts: number;
  /** Tokens of an update, in parts. */
  readonly parts: number;
  readonly part: number;
  /** After so many updates the load is looked at. */
  readonly after: readonly number[];
}

const SHAPES: readonly BalanceShape[] = [
  { experts: 64, parts: 16, part: 8192, after: [0, 1, 2, 3, 10] },
  { experts: 1024, parts: 24, part: 4096, after: [0, 1, 2, 3, 10] },
];
const QUICK: readonly BalanceShape[] = [{ experts: 16, parts: 2, part: 64, after: [0, 1, 2] }];

export async function benchBalance([device]: readonly Device[], quick: boolean): Promise<Table[]> {
  const { engine } = device!;
  const shapes = quick ? QUICK : SHAPES;
  const tables: Table[] = [];
  for (const shape of shapes) tables.push(await balanceTable(engine, shape));
  return tables;
}

async function balanceTable(engine: Engine, shape: BalanceShape): Promise<Table> {
  const { experts, parts, part, after } = shape;
  const rows: Row[] = [];
  for (const { label, config } of BALANCED) rows.push({ router: label, ...(await loads(engine, createRouter(config), shape)) });
  return {
    id: `balance-${experts}`,
    title: `Load at N = ${experts}`,
    note: `Most claims of an expert over the mean, after so many updates of ${parts * part} tokens, over the tokens of the next one; k = ${K}. `
      + `${floorOf(experts, (parts * part * K) / experts).toFixed(3)} is what independent counts of that mean scatter by.`,
    columns: [
      { key: 'router', label: 'router' }, ...after.map((updates) => ({ key: `after${updates}`, label: `after ${updates}`, digits: 3 })),
      { key: 'perToken', label: 'experts per token', digits: 3 },
    ],
    rows,
  };
}

async function loads(engine: Engine, router: Router, { experts, parts, part, after }: BalanceShape): Promise<Row> {
  const weight = gateWeight(engine, experts);
  const found: Record<string, number> = {};
  let state = initialState(engine, router, experts);
  for (let update = 0; update <= Math.max(...after); update++) {
    const claims = new Float64Array(experts);
    let sums: Record<string, Tensor> | null = null;
    for (let at = 0; at < parts; at++) {
      const { load, statistics } = routed(engine, router, state, { weight, experts, tokens: part, seed: 1 + update * parts + at, scale: 1 });
      (await load.data()).forEach((count, expert) => void (claims[expert]! += count));
      load.dispose();
      sums = added(engine, sums, statistics);
    }
    const total = claims.reduce((all, count) => all + count, 0);
    if (after.includes(update)) found[`after${update}`] = (Math.max(...claims) * experts) / total;
    found.perToken = total / (parts * part);
    state = moved(engine, router, state, sums);
  }
  disposeAll([weight, state]);
  return found;
}

interface Draw {
  readonly weight: Tensor;
  readonly experts: number;
  readonly tokens: number;
  readonly seed: number;
  /** Of the logits: how sure the gate is. */
  readonly scale: number;
}

/** One routing of new tokens in training: claims on each expert, and what the state moves by. */
function routed(engine: Engine, router: Router, state: Record<string, Tensor> | null, { weight, experts, tokens, seed, scale }: Draw): { load: Tensor; statistics: Record<string, Tensor> } {
  return engine.noGrad(() => engine.scope(() => {
    const x = add(randomNormal(engine.key(randomKey(seed)), [tokens, WIDTH]), randomNormal(engine.key(randomKey(0)), [1, WIDTH]));
    const routing = router.route({ engine, logits: multiply(matmul(x, weight), scale), tokens, experts, training: true, state, losses: { balance: false, z: false } });
    return { load: bincount(routing.expertIds, experts), statistics: { ...routing.statistics } };
  }));
}

function gateWeight(engine: Engine, columns: number): Tensor {
  return engine.scope(() => multiply(randomNormal(engine.key(randomKey(7)), [WIDTH, columns]), 1 / Math.sqrt(WIDTH)));
}

function added(engine: Engine, sums: Record<string, Tensor> | null, more: Record<string, Tensor>): Record<string, Tensor> {
  if (!sums) return more;
  const all = Object.fromEntries(Object.entries(more).map(([name, counts]) => [name, engine.noGrad(() => add(sums[name]!, counts))]));
  disposeAll([sums, more]);
  return all;
}

function moved(engine: Engine, router: Router, state: Record<string, Tensor> | null, sums: Record<string, Tensor> | null): Record<string, Tensor> | null {
  if (!state) return null;
  const next = engine.noGrad(() => engine.scope(() => router.state!.next(state, sums!)));
  disposeAll([state, sums]);
  return next;
}

/** About the largest of N independent counts of this mean, over the mean: Gumbel's place of the largest of N normal numbers. */
function floorOf(experts: number, mean: number): number {
  const a = Math.sqrt(2 * Math.log(experts));
  return 1 + (a - (Math.log(Math.log(experts)) + Math.log(4 * Math.PI)) / (2 * a) + 0.5772 / a) / Math.sqrt(mean);
}

const EXPERTS = 32;
const TARGET = 4;
const COSTED: readonly Arm[] = [
  { label: 'controlled-threshold', config: { type: 'controlled-threshold', target: TARGET } },
  { label: 'controlled-threshold --rule quantile', config: { type: 'controlled-threshold', target: TARGET, rule: 'quantile' } },
  { label: 'null-experts, 8 of them', config: { type: 'null-experts', k: 2 * TARGET, target: TARGET, nullExperts: 8 } },
  { label: 'expert-threshold', config: { type: 'expert-threshold', k: TARGET } },
];

/** Shares of the updates over which the mean is taken. */
const SPANS = [[0.01, 0.05], [0.05, 0.125], [0.125, 0.5], [0.5, 1]] as const;

export async function benchTargets([device]: readonly Device[], quick: boolean): Promise<Table[]> {
  const { engine } = device!;
  const updates = quick ? 40 : 800;
  const rows: Row[] = [];
  for (const { label, config } of COSTED) {
    const costs = await costsOf(engine, createRouter(config), updates);
    const cells = SPANS.map(([from, to]) => {
      const span = costs.slice(Math.round(from * updates), Math.round(to * updates));
      return [`from${from}`, (100 * span.reduce((all, cost) => all + cost, 0)) / span.length / TARGET - 100] as const;
    });
    rows.push({ router: label, ...Object.fromEntries(cells) });
  }
  return [{
    id: 'targets',
    title: `Mean experts per token against a target of ${TARGET} of ${EXPERTS}`,
    note: `In percent off the target, over spans of ${updates} updates of 1,024 tokens, on a gate whose logits grow from 0.05 to 1.5 in the first eighth, and to 2.5 by the end.`,
    columns: [{ key: 'router', label: 'router' }, ...SPANS.map(([from, to]) => ({ key: `from${from}`, label: `${100 * from} to ${100 * to} %` }))],
    rows,
  }];
}

async function costsOf(engine: Engine, router: Router, updates: number): Promise<number[]> {
  const weight = gateWeight(engine, router.gateOutputs?.(EXPERTS) ?? EXPERTS);
  const costs: number[] = [];
  let state = initialState(engine, router, EXPERTS);
  const warmUp = updates / 8;
  for (let update = 0; update < updates; update++) {
    const scale = update < warmUp ? 0.05 + (1.45 * update) / warmUp : 1.5 + (update - warmUp) / (updates - warmUp);
    const { load, statistics } = routed(engine, router, state, { weight, experts: EXPERTS, tokens: 1024, seed: 1 + update, scale });
    const claims = engine.noGrad(() => sum(load));
    costs.push((await claims.item()) / 1024);
    disposeAll([load, claims]);
    state = moved(engine, router, state, statistics);
  }
  disposeAll([weight, state]);
  return costs;
}

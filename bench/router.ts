// Every router at N = 64: gate, routing and balance loss, forward and backward. Dispatch is timed in moe-layer.ts.
import { hostNormal, hostUniform, multiply, randomKey, type Engine, type Tensor } from '@xmoe/core';
import { gate, gateProbabilities, type Routing } from '@xmoe/routers';
import { createRouter, type RouterConfig } from '@xmoe/routers/by-name';
import { disposeAll, forwardAndBackward, normalTensor, scalarLoss, type Device } from './forward-backward.js';
import { measureInterleaved, ratioOf, type Contestant, type MeasureOptions } from './measure.js';
import { routerShape, type RouterShape } from './shapes.js';
import { TIME_COLUMNS, type Table } from './table.js';

const VOCABULARY = 50_257;
/** As many choices as γ = 8 pays for. */
const K = 8;

const ROUTERS: readonly { readonly label: string; readonly config: RouterConfig }[] = [
  { label: 'threshold t=0.9', config: { type: 'threshold', threshold: 0.9 } },
  { label: `top-k k=${K}`, config: { type: 'topk', k: K } },
  { label: `top-k k=${K} with noise`, config: { type: 'topk', k: K, noise: true } },
  { label: 'switch', config: { type: 'switch' } },
  { label: 'hash', config: { type: 'hash', vocabularySize: VOCABULARY } },
  { label: 'base', config: { type: 'base' } },
  { label: `uniform k=${K}`, config: { type: 'uniform', k: K } },
];

/** Logits of this standard deviation: experts differ as in training, and t = 0.9 takes about 18 of 64. */
export const GATE_STD = 2;

/** The balance coefficient of the paper. */
const BALANCE = 0.01;

export async function benchRouters(devices: readonly Device[], quick: boolean, options: MeasureOptions): Promise<Table[]> {
  const shape = routerShape(quick);
  const kept: Tensor[] = [];
  const contestants = devices.flatMap((device) => routersOn(device, shape, kept));
  const timings = await measureInterleaved(contestants, options);
  disposeAll(kept);
  const perDevice = ROUTERS.length + 1;
  const rows = timings.map((timing, index) => ({
    router: contestants[index].name,
    backend: devices[Math.floor(index / perDevice)].name,
    minMs: timing.min,
    medianMs: timing.median,
    perToken: (timing.min / shape.tokens) * 1000,
    overGate: ratioOf(timing, timings[index - (index % perDevice)]).min,
  }));
  return [{
    id: 'router',
    title: `Routers at N = ${shape.experts}`,
    note: `T = ${shape.tokens}, d = ${shape.width}: gate, choices, balance loss and the gradients of the input and the gate. BASE runs its auction on the host. `
      + 'The first row of each backend is the gate alone (h·W, softmax and gradients), the least that a learned router costs.',
    columns: [
      { key: 'router', label: 'router' }, { key: 'backend', label: 'backend' }, ...TIME_COLUMNS,
      { key: 'perToken', label: 'µs/token', digits: 3 }, { key: 'overGate', label: '× gate alone' },
    ],
    rows,
  }];
}

/** The gate alone, then each router. What they hold goes into `kept`. */
function routersOn({ engine }: Device, shape: RouterShape, kept: Tensor[]): Contestant[] {
  const { tokens, experts } = shape;
  const inputs = gateInputs(engine, shape);
  const ids = hostUniform(randomKey(3), tokens).map((uniform) => Math.floor(uniform * VOCABULARY));
  const tokenIds = engine.tensor(Int32Array.from(ids)).keep();
  const key = engine.key(randomKey(4)).keep();
  kept.push(...Object.values(inputs), tokenIds, key);
  const upstream = (columns: number): Tensor => {
    const dy = normalTensor(engine, [tokens, columns], 5);
    kept.push(dy);
    return dy;
  };
  const dp = upstream(experts);
  const gateAlone: Contestant = {
    name: 'gate alone',
    run: () => forwardAndBackward(engine, ({ x, weight }) => scalarLoss(gateProbabilities(gate(x, weight)), dp, null), inputs),
  };
  const routers = ROUTERS.map(({ label, config }): Contestant => {
    const router = createRouter(config);
    const dy = upstream(router.maxChoices(experts));
    const route = ({ x, weight }: Record<string, Tensor>): Routing =>
      router.route({
        engine, logits: router.usesGate ? gate(x, weight) : null, tokens, experts, tokenIds, training: true, key, losses: { balance: true, z: false },
      });
    return { name: label, run: () => forwardAndBackward(engine, (parameters) => routingLoss(route(parameters), dy), inputs) };
  });
  return [gateAlone, ...routers];
}

/** x [T, d] of unit variance and a gate whose logits have the standard deviation {@link GATE_STD}. */
function gateInputs(engine: Engine, { tokens, width, experts }: RouterShape): { x: Tensor; weight: Tensor } {
  const values = hostNormal(randomKey(2), width * experts).map((value) => (value * GATE_STD) / Math.sqrt(width));
  return { x: normalTensor(engine, [tokens, width], 1), weight: engine.tensor(values, [width, experts]).keep() };
}

/** Lets a gradient `dy` of the weights [T, K] and that of the balance loss flow back. */
export function routingLoss({ weights, balanceLoss }: Routing, dy: Tensor): Tensor {
  return scalarLoss(weights, dy, balanceLoss && multiply(balanceLoss, BALANCE));
}

// What the routers with a state do beside choosing: counts for their state, and its move once an update, as a share of a layer's time. Choices and
// dispatch are timed in router.ts and moe-layer.ts.
import { hostNormal, randomKey } from '@xmoe/core';
import { initialState, type StateTensors } from '@xmoe/routers';
import { createRouter, type RouterConfig } from '@xmoe/routers/by-name';
import { disposeAll, eagerPass, finish, normalTensor, type Device } from './forward-backward.js';
import { measureInterleaved, type Contestant, type MeasureOptions } from './measure.js';
import { casesOf, DROPLESS, layerWork, type Setting } from './moe-contestants.js';
import { GATE_STD } from './router.js';
import { MOE_SHAPES, type Scale } from './shapes.js';
import type { Table } from './table.js';

const routersOf = (k: number): readonly { readonly label: string; readonly config: RouterConfig }[] => [
  { label: 'controlled-threshold', config: { type: 'controlled-threshold', target: k } },
  { label: 'controlled-threshold --rule quantile', config: { type: 'controlled-threshold', target: k, rule: 'quantile' } },
  { label: 'quantile', config: { type: 'quantile', k } },
  { label: 'quantile, softmax', config: { type: 'quantile', k, scores: 'softmax' } },
  { label: 'sign-bias', config: { type: 'sign-bias', k } },
  { label: 'expert-threshold', config: { type: 'expert-threshold', k } },
  { label: 'expert-threshold, softmax', config: { type: 'expert-threshold', k, scores: 'softmax' } },
  { label: 'null-experts', config: { type: 'null-experts', k: 2 * k, target: k } },
];

export async function benchRouterExtra({ name, engine }: Device, scale: Scale, options: MeasureOptions): Promise<Table[]> {
  const shape = MOE_SHAPES[scale];
  const split = shape.splits[shape.splits.length - 1]!;
  const { experts, capacityFactor: k } = split;
  const [x, dy] = [1, 2].map((seed) => normalTensor(engine, [shape.tokens, shape.width], seed));
  const setting: Setting = { engine, shape, x: x!, dy: dy!, kept: [x!, dy!] };
  const layer = eagerPass('layer', engine, layerWork(setting, casesOf(setting, split, [DROPLESS])[0]!)).contestant;
  const routers = routersOf(k);
  const timings = await measureInterleaved([layer, ...routers.flatMap(({ config }) => sidesOf(setting, config, experts))], options);
  disposeAll(setting.kept);
  const rows = routers.map(({ label }, index) => {
    const [training, evaluation] = timings.slice(1 + 2 * index);
    return { router: label, trainingMs: training!.min, evaluationMs: evaluation!.min, extraMs: training!.min - evaluation!.min, share: (100 * (training!.min - evaluation!.min)) / timings[0]!.min };
  });
  return [{
    id: `router-extra ${name}`,
    title: `What routers with a state do for it on ${name}`,
    note: `T = ${shape.tokens}, d = ${shape.width}, ${experts} experts of ${split.hidden}, k = ${k}; forward alone, from shortest times. Extra is a routing in training and the move of the state less a routing in evaluation by the same state, of `
      + `${timings[0]!.min.toFixed(1)} ms for the layer with dropless top-k, forward and backward.`,
    columns: [
      { key: 'router', label: 'router' }, { key: 'trainingMs', label: 'training ms' }, { key: 'evaluationMs', label: 'evaluation ms' }, { key: 'extraMs', label: 'extra ms' }, { key: 'share', label: '% of the layer' },
    ],
    rows,
  }];
}

/** A routing in training with the move of the state, and one in evaluation, after the state has settled. */
function sidesOf({ engine, shape: { tokens }, kept }: Setting, config: RouterConfig, experts: number): Contestant[] {
  const router = createRouter(config);
  const columns = router.gateOutputs?.(experts) ?? experts;
  const logits = engine.tensor(hostNormal(randomKey(3), tokens * columns).map((value) => value * GATE_STD), [tokens, columns]).keep();
  let state: StateTensors = initialState(engine, router, experts)!;
  const route = (training: boolean): StateTensors => {
    const { statistics, weights } = router.route({ engine, logits, tokens, experts, training, state, losses: { balance: false, z: false } });
    return { ...(statistics ? router.state!.next(state, statistics) : {}), weights };
  };
  for (let update = 0; update < 5; update++) {
    const { weights, ...next } = engine.noGrad(() => engine.scope(() => route(true)));
    disposeAll([weights, state]);
    state = next;
  }
  kept.push(logits, ...Object.values(state));
  return [true, false].map((training): Contestant => ({ name: config.type, run: () => finish(Object.values(engine.noGrad(() => engine.scope(() => route(training))))) }));
}

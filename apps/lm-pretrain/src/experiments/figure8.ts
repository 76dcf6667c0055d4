// Figure 8: time of a layer against its FLOPs, for every size of expert. Measured, not trained; the measurement is layer-times.ts.
import type { JsonObject } from '@xmoe/files';
import { seriesChart, type Experiment, type Shown } from '@xmoe/program/experiments';
import { FINER, measureLayerTimes, type LayerShape, type LayerTime } from './layer-times.js';

/** A layer of `small` on the CPU, and of the paper's first size on a device. */
const ON_CPU: LayerShape = { tokens: 1024, width: 256, hidden: 1024 };
const ON_DEVICE: LayerShape = { tokens: 4096, width: 768, hidden: 3072 };

export function figure8(onDevice: boolean): Experiment {
  const shape = onDevice ? ON_DEVICE : ON_CPU;
  return {
    name: 'figure8',
    title: 'Figure 8: time against FLOPs for every size of expert',
    question: `Do smaller experts cost time at equal FLOPs? One layer of width ${shape.width} forward on ${shape.tokens} tokens, with its gate and its threshold router, at γ · s from a quarter to all of the dense layer’s ${shape.hidden}; `
      + 'dispatched by indices as here, and by masks [T, N, C] as in the published code. Both give the same outputs; that is checked first.',
    groups: [],
    claims: [],
    measurement: { name: 'layer-times', seconds: onDevice ? 60 : 30, measure: (backend) => measureLayerTimes(backend, shape), show: showLayerTimes },
  };
}

const FINEST = FINER.at(-1)!;

function showLayerTimes({ backend, reason, rounds, layers: given }: JsonObject): Shown {
  const layers = given as unknown as readonly LayerTime[];
  const dense = layers.find(({ finer }) => finer === 'dense')!.indices;
  const sparse = layers.filter(({ finer }) => finer !== 'dense');
  const rows = sparse.map(({ finer, share, indices, masks }) =>
    [`${finer}× finer`, share.toFixed(2), indices.toFixed(2), (indices / dense).toFixed(2), masks!.toFixed(2), (masks! / dense).toFixed(2), (masks! / indices).toFixed(1)]);
  const points = (['indices', 'masks'] as const).flatMap((key) => sparse.map((one) => ({ x: one.share, y: one[key]!, series: `${one.finer}×, ${key}` })));
  const at = (wanted: number, key: 'indices' | 'masks'): number => sparse.find(({ finer, share }) => finer === wanted && share === 1)![key]!;
  const grown = (key: 'indices' | 'masks'): string => (at(FINEST, key) / at(FINER[0], key)).toFixed(2);
  return {
    columns: [
      { title: 'experts' }, { title: 'FLOPs / dense', numeric: true }, { title: 'ms, indices', numeric: true }, { title: '× dense layer', numeric: true },
      { title: 'ms, masks', numeric: true }, { title: '× dense layer', numeric: true }, { title: 'masks / indices', numeric: true },
    ],
    rows,
    sentences: [
      `At the FLOPs of the dense layer (${dense.toFixed(2)} ms), ${FINEST} times smaller experts take ${grown('indices')} times as long as experts of its size when dispatched by indices, and ${grown('masks')} times as long by masks: flat would be 1.`,
      `Shortest of ${String(rounds)} rounds in turns, in one process, on ${String(backend)} (${String(reason)}).`,
    ],
    charts: seriesChart({ id: 'figure8-chart', title: 'Milliseconds of a layer, forward', caption: 'A line for each size of expert and each dispatch; lower is faster, lines above each other are the cost of finer experts.' },
      points, { x: 'FLOPs / dense', y: 'milliseconds', fromZero: true }),
  };
}

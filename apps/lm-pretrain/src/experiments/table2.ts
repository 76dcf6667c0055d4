// Table 2: a dense model trained as XMoE, then used with fewer FLOPs, by capacity and by threshold.
import type { Claim, Experiment, RowGroup } from '@xmoe/program/experiments';
import { PUBLISHED_IN_TABLE_2, publishedOn } from './published.js';
import { denseArm, splitArm, type Setting } from './settings.js';
import { LEAK_FREE } from './table1.js';

const PARTS = [8, 16];
const SHARES = [1, 0.75, 0.5, 0.25];
const THRESHOLDS = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4];

interface Part {
  readonly group: RowGroup;
  readonly claims: readonly Claim[];
}

function groupOf(setting: Setting, parts: number): Part {
  const arm = splitArm(setting, parts);
  const { standsFor } = setting.corpus;
  const published = (numbers: { readonly [corpus: string]: number }) => ({ published: publishedOn(numbers, standsFor) });
  const dense = { label: 'dense', arm: denseArm(setting), point: LEAK_FREE, ...published(PUBLISHED_IN_TABLE_2.dense) };
  const whole = { label: `${parts} parts, all of them`, arm, point: LEAK_FREE };
  const byCapacity = SHARES.slice(1).map((share) => ({
    label: `γ = ${share * parts}, FLOPs ${share.toFixed(2)}`, arm, point: { dispatch: 'padded', capacityFactor: share * parts },
    ...(parts === 8 && share === 0.25 ? published(PUBLISHED_IN_TABLE_2.quarter) : {}),
  }));
  const byThreshold = THRESHOLDS.map((threshold) => ({ label: `t = ${threshold}`, arm, point: { threshold } }));
  const claim = (text: string, row: RowGroup['rows'][number], than: RowGroup['rows'][number], within: number): Claim => ({ text: `${text} (${parts} parts, ${setting.title})`, row, than, expect: 'no worse', within });
  return {
    group: { title: `${parts} parts, ${setting.title}`, rows: [dense, whole, ...byCapacity, ...byThreshold], baseline: whole },
    claims: [
      claim('A dense model trained as XMoE is as good as one that is not', whole, dense, 0),
      claim('A quarter of the FLOPs is enough when a dense model is used as XMoE: within 0.01 of its nats, by γ', byCapacity.at(-1)!, whole, 0.01),
      claim('The same by t = 0.6', byThreshold[3]!, whole, 0.01),
    ],
  };
}

export function table2(settings: readonly Setting[]): Experiment {
  const parts = settings.flatMap((setting) => PARTS.map((count) => groupOf(setting, count)));
  return {
    name: 'table2',
    title: 'Table 2: dense models as XMoE',
    question: 'How much of the FLOPs of a dense layer can be left out without training again, when it was trained as experts that are all used (t = 1, γ = N)? Rows by γ keep the paper’s capacity, which leaks from later tokens; rows by t drop nothing.',
    groups: parts.map(({ group }) => group),
    claims: parts.flatMap(({ claims }) => claims),
    columns: ['perplexity', 'executedTraining', 'wantedEvaluation', 'keptEvaluation', 'executedEvaluation', 'dropEvaluation', 'loadEvaluation'],
  };
}

// What the HTML report of a translation run shows.
import { createReportData, type Comparison, type Recorded, type ReportData, type RoutedWord } from '@xmoe/program/report';
import { jsonObject } from '@xmoe/files';
import type { Config } from './config.js';
import type { Summary } from './finish.js';

export const reportTitle = (preset: string, languages: string): string => `XMoE translation ${languages}: ${preset}`;

/** The report of a finished run. */
export function runReportData(summary: Summary, config: Config, recorded: Recorded, words: readonly RoutedWord[][]): ReportData {
  const { samples, expertsPerToken, dropRate, baselines, ...rest } = summary;
  const systems = (pick: (scores: { bleu: number; chrf: number }) => number): Comparison['entries'] => [
    ...baselines.map((scores) => ({ name: scores.name, value: pick(scores) })),
    { name: 'this model', value: pick(summary), own: true },
  ];
  const caption = `On ${summary.testPairs} held-out pairs, beam ${summary.beam}; higher is better.`;
  return createReportData({
    title: reportTitle(summary.preset, summary.languages),
    ...recorded,
    summary: { ...rest, expertsPerToken: Object.values(expertsPerToken), dropRate: Object.values(dropRate) },
    configuration: jsonObject(config, 'the configuration'),
    comparisons: [
      { id: 'bleu', title: 'BLEU', caption: `${caption} ${summary.bleuSignature}`, entries: systems(({ bleu }) => bleu) },
      { id: 'chrf', title: 'chrF2++', caption: `${caption} ${summary.chrfSignature}`, entries: systems(({ chrf }) => chrf) },
    ],
    translations: samples,
    routedText: words,
  });
}

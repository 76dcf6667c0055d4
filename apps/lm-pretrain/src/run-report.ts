// What the HTML report of a language-model run shows.
import { createReportData, type Recorded, type ReportData } from '@xmoe/program/report';
import { jsonObject } from '@xmoe/files';
import type { Config } from './config.js';
import type { Summary } from './finish.js';

export const reportTitle = (preset: string): string => `XMoE language model: ${preset}`;

/** The report of a finished run. */
export function runReportData(summary: Summary, config: Config, recorded: Recorded, prompt: string): ReportData {
  const { sample, expertsPerToken = {}, dropRate = {}, experts: _, ...rest } = summary;
  return createReportData({
    title: reportTitle(summary.preset),
    ...recorded,
    summary: { ...rest, expertsPerToken: Object.values(expertsPerToken), dropRate: Object.values(dropRate) },
    configuration: jsonObject(config, 'the configuration'),
    samples: [{ title: 'Sample', prompt, text: sample.slice(prompt.length) }],
  });
}

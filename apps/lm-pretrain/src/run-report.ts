// What the HTML report of a language-model run shows.
import { createReportData, type ReportData } from '@xmoe/program/report';
import type { JsonObject } from '@xmoe/files';
import type { MetricsRow } from '@xmoe/train';
import type { Config } from './config.js';
import type { Summary } from './finish.js';

/** The report of a finished run. */
export function runReportData(summary: Summary, config: Config, rows: readonly MetricsRow[], prompt: string): ReportData {
  const { sample, expertsPerToken = {}, dropRate = {}, ...rest } = summary;
  return createReportData({
    title: `XMoE language model: ${summary.preset}`,
    rows,
    summary: { ...rest, expertsPerToken: Object.values(expertsPerToken), dropRate: Object.values(dropRate) },
    configuration: config as unknown as JsonObject,
    samples: [{ title: 'Sample', prompt, text: sample.slice(prompt.length) }],
  });
}

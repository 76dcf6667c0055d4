// The files that a finished run ends with: summary.json, and the HTML report about it. What they say is the task's.
import { join } from 'node:path';
import { replaceFile } from '@xmoe/files/node';
import { readMetrics } from '@xmoe/train/node';
import { readChanges, RUN_FILES } from '../run-directory.js';
import { renderReport } from './report.js';
import type { Recorded, ReportData } from './report-data.js';

export interface ResultFiles<Summary> {
  summary: Summary;
  reportPath: string;
  summaryPath: string;
}

/** Writes both into the run directory. @param report from what the run has recorded of itself to what is shown */
export async function writeResult<Summary extends object>(
  out: string,
  summary: Summary,
  report: (recorded: Recorded) => ReportData,
): Promise<ResultFiles<Summary>> {
  const [summaryPath, reportPath] = [join(out, RUN_FILES.summary), join(out, RUN_FILES.report)];
  await replaceFile(summaryPath, `${JSON.stringify(summary, null, 2)}\n`);
  const recorded = { rows: readMetrics(join(out, RUN_FILES.metrics)), changes: await readChanges(out) };
  await replaceFile(reportPath, await renderReport(report(recorded)));
  return { summary, reportPath, summaryPath };
}

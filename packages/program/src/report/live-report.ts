// report.html of a run while it trains: written as a whole after evaluations, for as little of the time that all of them together take a hundredth of it, and
// loaded again by the page itself. A finished run's report, which stays as it is, is write-result.ts.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { replaceFile, temporaryName } from '@xmoe/files/node';
import type { JsonObject } from '@xmoe/files';
import { formatDuration, type MetricsRow, type StepRow } from '@xmoe/train';
import { readMetrics, type ProgressStream } from '@xmoe/train/node';
import { readChanges, RUN_FILES } from '../run-directory.js';
import { RELOAD_TAG } from './page.js';
import { createReportData, type SummaryItem } from './report-data.js';
import { renderReport } from './report.js';

export interface LiveReportOptions {
  /** Run directory. */
  readonly out: string;
  readonly title: string;
  readonly configuration: JsonObject;
  /** Of the whole run. */
  readonly steps: number;
  readonly stream: ProgressStream;
  /** Milliseconds. Default: `performance.now`. */
  readonly now?: () => number;
}

export interface LiveReport {
  /** Writes the report of what is recorded, or leaves it out when reports have taken enough. Never fails: training goes on without it. */
  write(): Promise<void>;
  /** The page that this session wrote loads itself no more. Does nothing where a finished run's report has taken its place. */
  settle(): void;
}

/** Of the time of a session. */
const SHARE = 0.01;
/** What a short run may take, ms, and how long a run lasts that anyone looks at. */
const [ALLOWANCE, FIRST_AFTER] = [2000, 10_000];
const RELOAD_SECONDS = 15;

export function createLiveReport({ out, title, configuration, steps, stream, now = () => performance.now() }: LiveReportOptions): LiveReport {
  const path = join(out, RUN_FILES.report);
  const began = now();
  let [spent, last, written, failed] = [0, 0, false, false];
  const report = async (): Promise<string> => {
    const rows = readMetrics(join(out, RUN_FILES.metrics));
    const { headline, summary } = figuresOf(rows, steps);
    const note = `step ${rows.at(-1)?.step ?? 0} of ${steps}, going on: this page loads itself again${spent > 0 ? `; reports have taken ${formatDuration(spent / 1000)}` : ''}`;
    return renderReport({ ...createReportData({ title, rows, changes: await readChanges(out), configuration, headline, summary }), live: { reloadSeconds: RELOAD_SECONDS, note } });
  };
  return {
    async write() {
      const started = now();
      const elapsed = started - began;
      if (elapsed < FIRST_AFTER || spent + last > Math.max(ALLOWANCE, SHARE * elapsed)) return;
      try {
        await replaceFile(path, await report());
        written = true;
      } catch (error) {
        if (!failed) stream.write(`${path} could not be written while training: ${(error as Error).message}\n`);
        failed = true;
      }
      last = now() - started;
      spent += last;
    },
    settle() {
      if (!written) return;
      const html = readFileSync(path, 'utf8');
      if (!RELOAD_TAG.test(html)) return;
      const temporary = temporaryName(path);
      writeFileSync(temporary, html.replace(RELOAD_TAG, '').replace(/, going on: this page loads itself again/, ', stopped'));
      renameSync(temporary, path);
    },
  };
}

/** What can be said before there is a result. */
function figuresOf(rows: readonly MetricsRow[], steps: number): { headline: SummaryItem[]; summary: JsonObject } {
  const trained = rows.filter((row): row is StepRow => row.kind === 'step');
  const last = trained.at(-1);
  const evaluation = rows.findLast((row) => row.kind === 'evaluation');
  const routed = trained.findLast(({ expertsPerToken }) => expertsPerToken !== undefined);
  const seconds = trained.reduce((sum, row) => sum + row.seconds, 0);
  const left = last ? (seconds / trained.length) * (steps - last.step) : 0;
  const item = (label: string, value: string | undefined, note?: string): SummaryItem[] => (value === undefined ? [] : [{ label, value, ...(note === undefined ? {} : { note }) }]);
  return {
    headline: [
      ...item('steps', last && `${last.step.toLocaleString('en')} of ${steps.toLocaleString('en')}`, last && left > 0 ? `about ${formatDuration(left)} of training left` : undefined),
      ...item('training loss', last?.loss.toFixed(3)),
      ...item('validation loss', evaluation?.loss.toFixed(3), evaluation?.perplexity === undefined ? undefined : `perplexity ${evaluation.perplexity.toFixed(2)}`),
    ],
    summary: {
      ...(last ? { tokensPerSecond: last.tokensPerSecond } : {}),
      ...(routed ? { expertsPerToken: routed.expertsPerToken!, dropRate: routed.dropRate ?? [] } : {}),
    },
  };
}

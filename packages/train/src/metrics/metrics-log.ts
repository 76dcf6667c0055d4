// metrics.jsonl: one JSON object a line, appended and handed to the system at once. After a resume no step appears twice.
// Not a display and not TensorBoard.
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { parseConfig, parseJson } from '../config/index.js';
import { encodeRow, metricsRowSchema, rowKey, type MetricsRow } from './rows.js';

export interface MetricsLogOptions {
  path: string;
  /** The step that the run resumes from: later rows are removed. Absent: a new run, and the file must not exist. */
  resumeFrom?: number;
}

export interface MetricsLog {
  readonly path: string;
  /**
   * Appends a row; it survives the end of the process at once. False when a row of that kind, step and split was kept from
   * before a resume, in which case nothing is written.
   * @throws XMoEError `value` when the step is not later than the last one of that kind
   */
  append(row: MetricsRow): boolean;
  /** Makes what was appended survive a power cut: call it with each checkpoint. */
  flush(): void;
  close(): void;
}

/** Opens the log for appending. */
export function createMetricsLog({ path, resumeFrom }: MetricsLogOptions): MetricsLog {
  mkdirSync(dirname(path), { recursive: true });
  const kept = new Map<string, number>(); // last step by kind and split, from before the resume
  if (resumeFrom !== undefined && existsSync(path)) {
    for (const row of truncateAfter(path, resumeFrom)) kept.set(rowKey(row), row.step);
  } else if (existsSync(path)) {
    throw new XMoEError('data', `${path} exists already`, { hint: 'resume that run, or choose another directory' });
  }
  const last = new Map(kept);
  const file = openSync(path, 'a');
  return {
    path,
    append(row) {
      const key = rowKey(row);
      if (row.step <= (kept.get(key) ?? -1)) return false;
      if (row.step <= (last.get(key) ?? -1)) {
        throw new XMoEError('value', `metrics: step ${row.step} of ${key} comes after step ${last.get(key)}`);
      }
      writeAll(file, `${encodeRow(row)}\n`, path);
      last.set(key, row.step);
      return true;
    },
    flush: () => fsyncSync(file),
    close: () => closeSync(file),
  };
}

/**
 * The rows of a log. A last line that a crash cut off is left out.
 * @throws XMoEError `data` naming the file and line of anything else that is no row
 */
export function readMetrics(path: string): MetricsRow[] {
  const lines = readFileSync(path, 'utf8').split('\n');
  lines.pop(); // what follows the last line end: nothing, or a torn line
  return lines.map((line, i) => {
    const where = `${path} line ${i + 1}`;
    try {
      return parseConfig(metricsRowSchema, parseJson(line, { where, code: 'data' }), { where });
    } catch (cause) {
      throw new XMoEError('data', (cause as Error).message, { cause, hint: 'remove that line' });
    }
  });
}

/** Rewrites the log with the rows up to `step` and returns them. A crash leaves the old file or the new one. */
function truncateAfter(path: string, step: number): MetricsRow[] {
  const rows = readMetrics(path).filter((row) => row.step <= step);
  const temporary = `${path}.temporary`;
  const file = openSync(temporary, 'w');
  try {
    writeAll(file, rows.map((row) => `${encodeRow(row)}\n`).join(''), temporary);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
  return rows;
}

/** Node may write a part only, and a full disk is a count of zero rather than an error. */
function writeAll(file: number, text: string, path: string): void {
  const bytes = Buffer.from(text);
  for (let done = 0; done < bytes.length; ) {
    const written = writeSync(file, bytes, done);
    if (written <= 0) throw new XMoEError('data', `cannot write ${path}: ENOSPC, no space left on the disk`);
    done += written;
  }
}

// metrics.jsonl: one JSON object a line, appended and handed to the system at once. After a resume no step appears twice.
// Not a display and not TensorBoard.
import { closeSync, constants, fsyncSync, lstatSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { temporaryName } from '@xmoe/files/node';
import { parseConfig } from '../config/parse-config.js';
import { parseJson } from '@xmoe/files';
import { encodeRow, metricsRowSchema, rowKey, type MetricsRow } from './rows.js';

export interface MetricsLogOptions {
  readonly path: string;
  /** The step that the run resumes from: later rows are removed. Absent: a new run, and the file must not exist. */
  readonly resumeFrom?: number;
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

/** Opens the log for appending. @throws XMoEError `io` when a symbolic link is in its place: it is written to as itself or not at all */
export function createMetricsLog({ path, resumeFrom }: MetricsLogOptions): MetricsLog {
  mkdirSync(dirname(path), { recursive: true });
  const kept = new Map<string, number>(); // last step by kind and split, from before the resume
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found?.isSymbolicLink()) throw isLink(path);
  if (resumeFrom !== undefined && found) {
    for (const row of truncateAfter(path, resumeFrom)) kept.set(rowKey(row), row.step);
  } else if (found) {
    throw new XMoEError('data', `${path} exists already`, { hint: 'resume that run, or choose another directory' });
  }
  const last = new Map(kept);
  const file = openOwn(path);
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
  return readLines(path).map(({ row }) => row);
}

function readLines(path: string): { line: string; row: MetricsRow }[] {
  const lines = readFileSync(path, 'utf8').split('\n');
  lines.pop(); // what follows the last line end: nothing, or a torn line
  return lines.map((line, i) => {
    const where = `${path} line ${i + 1}`;
    try {
      return { line, row: parseConfig(metricsRowSchema, parseJson(line, { where, code: 'data' }), { where }) };
    } catch (cause) {
      throw new XMoEError('data', (cause as Error).message, { cause, hint: 'remove that line' });
    }
  });
}

/** Rewrites the log with the lines up to `step`, as they are, and returns their rows. A crash leaves the old file or the new one. */
function truncateAfter(path: string, step: number): MetricsRow[] {
  const kept = readLines(path).filter(({ row }) => row.step <= step);
  const temporary = temporaryName(path);
  const file = openSync(temporary, 'wx');
  try {
    writeAll(file, kept.map(({ line }) => `${line}\n`).join(''), temporary);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
  return kept.map(({ row }) => row);
}

/** Opens the file for appending, never what a symbolic link put in its place meanwhile points at. */
function openOwn(path: string): number {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW = 0 } = constants; // Windows has no O_NOFOLLOW
  try {
    return openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o666);
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'ELOOP' ? isLink(path) : error;
  }
}

function isLink(path: string): XMoEError {
  return new XMoEError('io', `${path} is a symbolic link`, { hint: 'remove it: a run writes to no file outside of its directory' });
}

/** Node may write a part only, and a full disk is a count of zero rather than an error. */
function writeAll(file: number, text: string, path: string): void {
  const bytes = Buffer.from(text);
  for (let done = 0; done < bytes.length; ) {
    const written = writeSync(file, bytes, done);
    if (written <= 0) throw new XMoEError('io', `cannot write ${path}: ENOSPC, no space left on the disk`);
    done += written;
  }
}

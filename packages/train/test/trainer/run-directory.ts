// Directories for runs of tests. Not a test.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

/** A fresh directory for a run; removed after the tests. */
export function runDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'xmoe-run-'));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

// A folder for the files of one test file, and a few ways to fill and read things. No tests here.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';
import type { TextDocument } from '../../src/data/documents.js';

/** `path(name)` in a fresh folder that is removed after the tests; `write` makes a file and returns its path. */
export function temporaryFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'xmoe-data-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const path = (name: string) => join(folder, name);
  return {
    path,
    write(name: string, content: string | Uint8Array): string {
      writeFileSync(path(name), content);
      return path(name);
    },
  };
}

export const fixture = (name: string): string => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url));

export const toDocuments = (texts: readonly string[]): TextDocument[] =>
  texts.map((text, index) => ({ text, source: 'test', index }));

export async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

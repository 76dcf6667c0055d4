// What `compare` is told of runs of translation models: which test pairs they have, as texts, and the figures of a finished one.
import { createHash } from 'node:crypto';
import { dataFingerprint, openParallelDataset } from '@xmoe/text/node';
import { numberAt, type ComparedProgram } from '@xmoe/program/experiments';
import { PROGRAM } from '../config.js';
import { readRecord } from '../session.js';
import { translationSuite } from './translation-suite.js';

export const translationComparison: ComparedProgram = {
  program: PROGRAM,
  readRecord,
  async identify(data) {
    const dataset = await openParallelDataset(data);
    try {
      // BLEU is of texts: vocabularies may differ.
      const hash = createHash('sha256');
      for (let pair = 0; pair < dataset.split('test').pairs; pair++) hash.update(JSON.stringify(dataset.text('test', pair)));
      return { all: dataFingerprint(dataset.index), test: hash.digest('hex') };
    } finally {
      dataset.close();
    }
  },
  quality: translationSuite.quality,
  few: ['chrf', 'testLoss', 'expertsInUse', 'trainingSeconds'],
  columns: translationSuite.columns,
  figures: (recorded, config) => translationSuite.trainingFigures(recorded, config),
  scored(summary) {
    const pairs = numberAt(summary, 'testPairs');
    return pairs === undefined ? undefined : `${pairs.toLocaleString('en')} pairs (${String(summary.bleuSignature)})`;
  },
  flopsPerToken: (config) => translationSuite.flopsPerToken(config),
};

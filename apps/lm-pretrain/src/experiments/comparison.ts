// What `compare` is told of runs of language models: which test text they have, and the figures of a finished one.
import { isPlainObject } from '@xmoe/files';
import { dataFingerprint, openShards } from '@xmoe/text/node';
import { figuresThere, numberAt, type ComparedProgram, type FigureColumn } from '@xmoe/program/experiments';
import { PROGRAM } from '../config.js';
import { readRecord } from '../session.js';
import { languageSuite } from './language-suite.js';

const BITS: FigureColumn = { key: 'bitsPerByte', title: 'bits/byte', meaning: 'Bits per byte of the test text, with nothing dropped: independent of the tokenizer.', digits: 4 };

/** Those that the summary of a run has no figures for have none here. */
const [PERPLEXITY, ...OTHERS] = languageSuite.columns;

export const languageComparison: ComparedProgram = {
  program: PROGRAM,
  readRecord,
  async identify(data) {
    const dataset = await openShards(data);
    const { dtype, tokenizer, splits } = dataset.index;
    dataset.close();
    return { all: dataFingerprint(dataset.index), test: dataFingerprint({ dtype, tokenizer, splits: { test: splits.test } }) };
  },
  quality: { ...languageSuite.quality, meaning: 'Mean loss per test token in nats, with nothing dropped. Lower is better; all differences are of it.' },
  few: ['perplexity', 'bitsPerByte', 'wantedEvaluation', 'executedEvaluation', 'trainingSeconds'],
  columns: [PERPLEXITY!, BITS, ...OTHERS],
  figures(recorded, config) {
    const { summary } = recorded;
    const perplexity = numberAt(summary, 'leakFreeTestPerplexity');
    const experts = isPlainObject(summary.experts) ? summary.experts.leakFree : undefined;
    const leakFree = isPlainObject(experts) ? (experts as Record<string, number>) : undefined;
    return figuresThere({
      ...languageSuite.trainingFigures(recorded, config),
      loss: perplexity === undefined ? undefined : Math.log(perplexity), perplexity, bitsPerByte: numberAt(summary, 'leakFreeBitsPerByte'),
      wantedEvaluation: leakFree?.wanted, executedEvaluation: leakFree?.executedOverDense,
    });
  },
  scored(summary) {
    const tokens = numberAt(summary, 'testTokens');
    return tokens === undefined ? undefined : `${tokens.toLocaleString('en')} tokens`;
  },
  flopsPerToken: (config) => languageSuite.flopsPerToken(config),
};

// Prepares the pairs of a configuration with lines for a terminal: what is made, and what cleaning left.
import type { DataConfig } from '@xmoe/models';
import { formatCompact } from '@xmoe/train';
import type { ProgressStream } from '@xmoe/train/node';
import type { ParallelDataset } from '@xmoe/text';
import { prepareData } from './prepare-data.js';

const STAGES = { pairs: 'Reading and cleaning pairs', vocabulary: 'Learning a vocabulary', shards: 'Tokenising' } as const;

/** Makes or finds the prepared pairs under `root`. Says each stage that is made, once. */
export async function prepareWithProgress(config: DataConfig, root: string, stream: ProgressStream): Promise<ParallelDataset> {
  let last: keyof typeof STAGES | undefined;
  const { dataset, prepared } = await prepareData(config, root, ({ stage }) => {
    if (stage !== last) stream.write(`${STAGES[stage]}\n`);
    last = stage;
  });
  const { splits, malformed, notes } = prepared.report;
  for (const note of notes) stream.write(`${note}\n`);
  if (malformed.count > 0) stream.write(`${malformed.count} rows left out, first ${malformed.first[0]!.place}: ${malformed.first[0]!.reason}\n`);
  const { train } = prepared.report.tokens;
  stream.write(
    `Pairs ${config.sourceLanguage}-${config.targetLanguage}: ${splits.train.pairs} to train on (${formatCompact(train.source)} + ${formatCompact(train.target)} tokens), ` +
      `${splits.validation.pairs} for validation, ${splits.test.pairs} for test\n`,
  );
  return dataset;
}

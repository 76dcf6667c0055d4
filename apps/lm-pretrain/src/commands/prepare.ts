// prepare: corpus to tokenizer to shards, without training.
import type { Command } from 'commander';
import { formatCompact } from '@xmoe/train';
import { prepareData, usableSplits } from '../data.js';
import { configOf, alignedFacts, type ConfigOptions, type Terminal } from '@xmoe/program';
import { configs } from '../config.js';

export async function prepareCommand(terminal: Terminal, options: ConfigOptions & { out?: string }, command: Command): Promise<void> {
  const config = await configOf(configs, options, command);
  const notify = (message: string): void => void terminal.messages.write(`${message}\n`);
  const { shards, dataset } = await prepareData(config, options.dataRoot, notify, options.out);
  try {
    usableSplits({ dataset }, config, notify);
  } finally {
    dataset.close();
  }
  const { index, directory, reused } = shards;
  const splits = Object.entries(index.splits).map(
    ([name, split]) => [name, `${formatCompact(split.tokens)} tokens, ${split.documents} documents, ${formatCompact(split.bytes)}B`] as const,
  );
  terminal.result({ directory, reused, tokenizer: index.tokenizer, splits: index.splits }, `${reused ? 'Found' : 'Wrote'} ${directory}\n${alignedFacts([['tokenizer', `${index.tokenizer.kind}, ${index.tokenizer.vocabularySize} tokens`], ...splits])}\n`);
}

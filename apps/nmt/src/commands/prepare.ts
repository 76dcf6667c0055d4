// prepare: parallel text to cleaned pairs to vocabulary to shards, without training.
import { configOf, type ConfigOptions, type Terminal } from '@xmoe/program';
import type { Command } from 'commander';
import { configs } from '../config.js';
import { prepareData } from '../prepare-data.js';
import { preparationSummary } from '../preparation-summary.js';

export async function prepareCommand(terminal: Terminal, options: ConfigOptions, command: Command): Promise<void> {
  const config = await configOf(configs, options, command);
  const { dataset, prepared } = await prepareData(config.data, options.dataRoot);
  dataset.close();
  terminal.result({ ...prepared.report, stages: prepared.stages }, `${preparationSummary(prepared).join('\n')}\n`);
}

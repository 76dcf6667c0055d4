// The command `reproduce` of a program: its options and help.
import { Argument, type Command } from 'commander';
import { countFromOne } from '../command-flags.js';
import { NamedOption } from '../named-option.js';
import type { Terminal } from '../terminal.js';
import { experimentNames, reproduceCommand } from './reproduce-command.js';
import type { ExperimentSuite } from './suite.js';

export function addReproduceCommand(program: Command, terminal: Terminal, suite: ExperimentSuite, backendNames: readonly string[]): void {
  const names = experimentNames(suite);
  const what = new Argument('<what...>', names.join(', '));
  what.argChoices = names; // for completion; the command tells the nearest name
  program
    .command('reproduce')
    .description('train and evaluate what a table or figure of the paper shows, and report ours beside it; what is finished is not made again')
    .addArgument(what)
    .addOption(new NamedOption('--scale <name>', suite.scales.join(', '), suite.scales, suite.scales[0]))
    .summary('what a table or figure of the paper shows, beside what it says')
    .option('--seeds <count>', 'runs of each arm, with seeds 1 to this', countFromOne, 3)
    .option('--jobs <count>', 'runs at a time; more than one: each on one thread', countFromOne, 1)
    .option('--backend <name>', `one of ${backendNames.join(', ')} (default: that of the scale)`)
    .option('--data <path...>', 'files or directories instead of the text of the scale')
    .option('--max-steps <count>', 'steps of every run, instead of those of the scale', countFromOne)
    .option('--data-root <dir>', 'where prepared data is kept', 'runs/data')
    .option('--out <dir>', `folder of runs and report (default: runs/${suite.program}-SCALE)`)
    .option('--results <file...>', 'results.jsonl of other folders: runs whose figures are there are not made again')
    .option('--dry-run', 'print the plan and its cost, and do nothing')
    .option('--report-only', 'report what is finished, and train nothing')
    .action((what: string[], options) => reproduceCommand(terminal, suite, what, options));
}

// The commands that take weights from elsewhere and to elsewhere: options and help. What they do is in commands/.
import { countFromOne, countOrAll, finiteNumber, NamedOption, wholeNumber, type Terminal } from '@xmoe/program';
import type { Command } from 'commander';
import { convertCommand, WAYS } from './commands/convert.js';
import { DTYPES, exportCommand } from './commands/export.js';
import { importCommand } from './commands/import.js';
import { tuneCommand } from './commands/tune.js';

/** Adds `import`, `export`, `convert` and `tune`. `backend`: the option of that name. */
export function addWeightsCommands(program: Command, terminal: Terminal, backend: readonly [string, string, string]): void {
  program
    .command('import <source>')
    .description('weights of a Hugging Face folder, a run or a checkpoint as a run of their own')
    .requiredOption('--out <dir>', 'run directory, which must not hold a run')
    .option(...backend)
    .action((source, options) => importCommand(terminal, source, options));
  program
    .command('export <source> <folder>')
    .description('a run or a checkpoint as a Hugging Face folder: GPT-2, or XMoE with its model in Python')
    .option('--checkpoint <which>', 'of a run: best, latest, or a name like step-00000500', 'best')
    .addOption(new NamedOption('--dtype <name>', 'float32 or float16, which rounds', DTYPES, 'float32'))
    .option('--title <text>', 'of the model card (default: the name of the folder)')
    .action((source, folder, options) => exportCommand(terminal, source, folder, options));
  program
    .command('convert <source>')
    .description('a dense model as XMoE: its layers split into experts, with all of which it is the same model; --train learns which a token needs')
    .requiredOption('--experts <N>', 'experts per layer; they divide its hidden size', countFromOne)
    .requiredOption('--out <dir>', 'run directory, which must not hold a run')
    .addOption(new NamedOption('--by <way>', 'which hidden units make an expert: order, random or co-activation, those that a text activates together', WAYS, 'order'))
    .option('--every <n>', 'experts in layers n, 2·n, …', countFromOne, 1)
    .option('--seed <seed>', 'of --by random', wholeNumber, 1)
    .option('--train <what>', 'learn which experts a token needs: router, the rest frozen, or all')
    .option('--recipe <name>', 'of --train: distill, each expert’s share of what the dense layer makes (default), or paper, the model’s own loss with t = 1')
    .option('--max-steps <count>', 'of --train (default: 300)', countFromOne)
    .option('--learning-rate <rate>', 'of --train (default: 0.01 for the router, 0.003 for all)', finiteNumber)
    .option('--threshold <t>', 'while it trains (default: 1, and 0.8 where all learns by distillation)', finiteNumber)
    .option('--set <key=value...>', 'of --train: any other key of the configuration')
    .option('--data <path...>', 'text for --train and --by co-activation (default: that of the run)')
    .option('--tokens <count>', 'of that text to look at', countFromOne, 2048)
    .option('--data-root <dir>', 'where prepared data is kept', 'runs/data')
    .option(...backend)
    .action((source, options) => convertCommand(terminal, source, options));
  program
    .command('tune <run>')
    .description('the threshold for a share of FLOPs or for a perplexity, found on validation text')
    .option('--flops <share>', 'of the dense layers in place of experts, e.g. 0.5', finiteNumber)
    .option('--perplexity <rise>', 'above that of all experts, e.g. +1%')
    .option('--checkpoint <which>', 'best, latest, or a name like step-00000500', 'best')
    .option('--max-windows <count>', 'of validation text, or all (default: as many as the run scored)', countOrAll)
    .option('--by-layer', 'also a threshold for each layer, from what each alone does around the common one; slower')
    .option('--out <dir>', 'store the weights with the threshold as a run of their own')
    .option(...backend)
    .action((run, options) => tuneCommand(terminal, run, options));
}

// The commands that take weights from elsewhere and to elsewhere: options and help. What they do is in commands/.
import type { Terminal } from '@xmoe/program';
import type { Command } from 'commander';
import { exportCommand } from './commands/export.js';
import { importCommand } from './commands/import.js';

/** Adds `import` and `export`. `backend`: the option of that name. */
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
    .option('--dtype <name>', 'float32 or float16, which rounds', 'float32')
    .option('--title <text>', 'of the model card (default: the name of the folder)')
    .action((source, folder, options) => exportCommand(terminal, source, folder, options));
}

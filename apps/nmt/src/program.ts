// The command line of xmoe-nmt: options and help. What the commands do is in commands/.
import type { Readable } from 'node:stream';
import { BACKEND_NAMES, defaultBackend, openBackend } from '@xmoe/backends';
import { tokenizerNames } from '@xmoe/metrics';
import {
  addLookupCommands, addTrainingCommands, backendOption, checkpointOption, countFromOne, cpuEngine, finiteNumber, forRanks, inspectCommand, locateVersion, moreFlagsText, NamedOption, newProgram,
  onRanks, runCommandLine, wholeNumber, withConfigOptions, type CommandLineStreams, type Terminal,
} from '@xmoe/program';
import { addCompareCommand, addReproduceCommand, addSweepCommand } from '@xmoe/program/experiments';
import { addServeCommand } from '@xmoe/program/serve';
import type { Command } from 'commander';
import { evalCommand } from './commands/eval.js';
import { inspectSentence } from './commands/inspect.js';
import { prepareCommand } from './commands/prepare.js';
import { translateCommand } from './commands/translate.js';
import { configs, PROGRAM } from './config.js';
import { translationComparison } from './experiments/comparison.js';
import { translationSuite } from './experiments/translation-suite.js';
import { openTranslationService } from './serve/open-service.js';
import { openRun } from './session.js';
import { translationTask } from './task.js';

const backend = backendOption(BACKEND_NAMES, defaultBackend());
const configOptions = {
  preset: 'tiny',
  dataHelp: 'parallel text instead of the language packs: TSV, JSON lines, Parquet or TMX, or SOURCE::TARGET for two line-aligned files; also gzipped or zstd',
};
const checkpoint = checkpointOption('best', ['average']);
const FLAG_EXAMPLES = '--source ru --max-steps 30 --learning-rate 1e-3 --threshold 0.8 --vocabulary-size 4000';

/** Options that say how to decode: the run's own settings where they are left out. */
function decoded(command: Command): Command {
  return command
    .option('--beam <size>', 'hypotheses that live on; 1 is greedy (default: as in the run)', countFromOne)
    .option('--length-penalty <alpha>', 'score = log p / length^alpha (default: as in the run)', finiteNumber)
    .option('--threshold <t>', 'of the threshold router; fewer experts per token where lower (default: as in the run)', finiteNumber);
}

function createProgram(terminal: Terminal, input: () => Readable): Command {
  const version = locateVersion(import.meta.url);
  const own = {
    version, task: translationTask, openBackend, backendNames: BACKEND_NAMES, defaultBackend: backend[2], ...configOptions,
    first: { name: 'demo', description: 'train a small XMoE on real messages and show how it translates' }, flagExamples: FLAG_EXAMPLES,
  };
  const program = newProgram(PROGRAM, terminal);
  program.description('Train, evaluate and use XMoE translation models.').version(version);
  addTrainingCommands(program, terminal, own);
  withConfigOptions(program.command('prepare').description('parallel text to cleaned pairs to vocabulary to shards; training does this by itself'), configOptions)
    .addHelpText('after', moreFlagsText(FLAG_EXAMPLES))
    .action((options, command) => prepareCommand(terminal, options, command));
  decoded(forRanks(program.command('translate <run>')).description('standard input to standard output, line by line'))
    .option(...backend)
    .option(...checkpoint)
    .option('--n-best <count>', 'print so many translations of each line as LINE ||| TEXT ||| SCORE', countFromOne)
    .option('--sample', 'draw translations instead of searching for the best')
    .option('--temperature <value>', 'of --sample; 0 takes the likeliest token', finiteNumber, 1)
    .option('--top-k <k>', 'of --sample: only the k likeliest tokens; 0: all', wholeNumber, 0)
    .option('--top-p <mass>', 'of --sample: only the likeliest tokens of this mass', finiteNumber, 1)
    .option('--seed <seed>', 'of --sample: same seed, same text', wholeNumber, 1)
    .option('--tokenizer <file>', 'a tokenizer.json to check against the checkpoint and use')
    .action((run, options) => onRanks(terminal, (own, comm) => translateCommand(own, run, options, input(), comm)));
  decoded(forRanks(program.command('eval [run]')).description('BLEU and chrF2++ of a run, or of files of translations, with paired bootstrap against another'))
    .option(...backend)
    .option(...checkpoint)
    .addOption(new NamedOption('--split <name>', 'validation or test', ['validation', 'test'], 'test'))
    .option('--max-pairs <count>', 'only the first pairs', countFromOne)
    .option('--pairs <file...>', 'score on other parallel text than the run was trained with, in any format of --data')
    .option('--hypotheses <file>', 'translations to score instead of a run, a line each')
    .option('--references <file>', 'their references')
    .option('--against <run-or-file>', 'another run, or another file of translations, to compare with')
    .option('--tokenize <name>', `tokenizer of BLEU: ${tokenizerNames.join(', ')} (default: by the target language)`)
    .option('--language <code>', 'target language of --references, for the tokenizer of BLEU', 'en')
    .option('--samples <count>', 'bootstrap samples', countFromOne, 1000)
    .option('--save <file>', 'also write the translations, a line each')
    .action((run, options) => onRanks(terminal, (own, comm) => evalCommand(own, run, options, comm)));
  program
    .command('inspect <run>')
    .description('how many experts each token of a sentence takes, by layer')
    .option(...backend)
    .option(...checkpoint)
    .option('--text <text>', 'source sentence (default: the first test pair)')
    .option('--html <file>', 'where the page goes (default: RUN/inspect.html)')
    .action((run, options) => inspectCommand(terminal, run, options, { open: openRun, route: inspectSentence }));
  addSweepCommand(program, terminal, {
    program: { comparison: translationComparison, resolver: configs, flopsOf: (config) => translationSuite.flopsOf(config) }, ...configOptions, backend,
  });
  addCompareCommand(program, terminal, translationComparison);
  addServeCommand(program, terminal, backend, openTranslationService);
  addReproduceCommand(program, terminal, translationSuite, BACKEND_NAMES);
  addLookupCommands(program, terminal, own);
  return program;
}

/** Runs the command that `args` (without the program's name) ask for; returns the exit code. */
export function runProgram(args: readonly string[], streams: CommandLineStreams, input: () => Readable): Promise<number> {
  // Which engine computes belongs to the version.
  return runCommandLine(args, streams, (terminal) => createProgram(terminal, input), { afterVersion: async () => `CPU engine: ${await cpuEngine(openBackend)}\n` });
}

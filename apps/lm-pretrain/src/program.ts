// The command line of xmoe-lm: options and help. What the commands do is in commands/.
import { BACKEND_NAMES, defaultBackend, openBackend } from '@xmoe/backends';
import {
  addLookupCommands, addTrainingCommands, backendOption, checkpointOption, countFromOne, countList, countOrAll, cpuEngine, finiteNumber, forRanks, inspectCommand, numberList, locateVersion, NamedOption,
  newProgram, onRanks, runCommandLine, wholeNumber, withConfigOptions, type CommandLineStreams, type Terminal,
} from '@xmoe/program';
import { addCompareCommand, addReproduceCommand, addSweepCommand } from '@xmoe/program/experiments';
import { addServeCommand } from '@xmoe/program/serve';
import { splitNames } from '@xmoe/text';
import type { Command } from 'commander';
import { evalCommand } from './commands/eval.js';
import { inspectText } from './commands/inspect.js';
import { prepareCommand } from './commands/prepare.js';
import { sampleCommand } from './commands/sample.js';
import { sweepCommand, type SweepOptions } from './commands/sweep.js';
import { configs, PROGRAM, type Config } from './config.js';
import { languageComparison } from './experiments/comparison.js';
import { languageSuite } from './experiments/language-suite.js';
import { openLanguageService } from './serve/open-service.js';
import { openRun } from './session.js';
import { languageTask } from './task.js';
import { addWeightsCommands } from './weights-commands.js';

const backend = backendOption(BACKEND_NAMES, defaultBackend());
const checkpoint = checkpointOption();
const configOptions = { preset: 'tiny', dataHelp: 'text, JSON lines or Parquet files, or directories of them, instead of the preset’s text' };

/** From docs/experiments/start.md. */
const ABOUT_START = 'Top-4 of 32 experts learns most in its time (test perplexity 11.97, mean of three seeds). The paper’s own setting: --preset tiny (12.56). Best at its FLOPs, and slower: --preset tiny-controlled-32x64 (11.85).';

function createProgram(terminal: Terminal): Command {
  const version = locateVersion(import.meta.url);
  const own = {
    version, task: languageTask, openBackend, backendNames: BACKEND_NAMES, defaultBackend: backend[2], ...configOptions,
    first: { name: 'start', description: 'train a small mixture of experts on real text and show what it learned', preset: 'tiny-topk-32x64', about: ABOUT_START },
    initialSources: 'a run, a checkpoint, or a Hugging Face folder of GPT-2',
    flagExamples: '--max-steps 30 --learning-rate 1e-3 --threshold 0.8 --dispatch grouped',
  };
  const program = newProgram(PROGRAM, terminal);
  program.description('Pretrain, evaluate and inspect XMoE language models.').version(version);
  addTrainingCommands(program, terminal, own);
  withConfigOptions(program.command('prepare').description('corpus to tokenizer to shards; training does this by itself'), configOptions)
    .option('--out <dir>', 'directory of the shards (default: one under --data-root)')
    .action((options, command) => prepareCommand(terminal, options, command));
  addEvaluationCommands(program, terminal);
  addWeightsCommands(program, terminal, backend);
  addCompareCommand(program, terminal, languageComparison);
  addReproduceCommand(program, terminal, languageSuite, BACKEND_NAMES);
  program
    .command('sample <run>')
    .description('continue a prompt')
    .option(...backend)
    .option(...checkpoint)
    .option('--prompt <text>', 'text to continue', 'The ')
    .option('--max-tokens <count>', 'tokens to add', wholeNumber, 120)
    .option('--temperature <value>', '0 takes the likeliest token', finiteNumber, 0.8)
    .option('--top-k <k>', 'only the k likeliest tokens; 0: all', wholeNumber, 0)
    .option('--top-p <mass>', 'only the likeliest tokens of this mass', finiteNumber, 0.95)
    .option('--seed <seed>', 'same seed, same text', wholeNumber, 1)
    .action((run, options) => sampleCommand(terminal, run, options));
  program
    .command('inspect <run>')
    .description('how many experts each token of a text takes, by layer')
    .option(...backend)
    .option(...checkpoint)
    .option('--text <text>', 'text to route (default: the beginning of the test split)')
    .option('--html <file>', 'where the page goes (default: RUN/inspect.html)')
    .action((run, options) => inspectCommand(terminal, run, options, { open: openRun, route: inspectText }));
  addServeCommand(program, terminal, backend, openLanguageService)
    .option('--max-tokens <count>', 'the most tokens that a request may ask for', countFromOne, 1024);
  addLookupCommands(program, terminal, own);
  return program;
}

/** What says how good a trained run is. */
function addEvaluationCommands(program: Command, terminal: Terminal): void {
  forRanks(program.command('eval <run>'))
    .description('perplexity of a run with the training capacity and without dropping')
    .option(...backend)
    .option(...checkpoint)
    .addOption(new NamedOption('--split <name>', 'train, validation or test', splitNames, 'test'))
    .option('--threshold <t>', 'another threshold than in training', finiteNumber)
    .option('--capacity-factor <gamma>', 'another capacity factor than in training', finiteNumber)
    .option('--batch-size <B>', 'windows per routing group (default: as in training)', countFromOne)
    .option('--max-windows <count>', 'score only the first windows, or all (default: as many as the run scored)', countOrAll)
    .option('--data <path...>', 'another text, split as training on it would (default: that of the run)')
    .option('--data-root <dir>', 'where prepared data is kept', 'runs/data')
    .option('--positive', 'also count hidden units above 0 by layer, of dense layers too; slower')
    .action((run, options) => onRanks(terminal, (own, comm) => evalCommand(own, run, options, comm)));
  addSweepCommand<Config, SweepOptions>(program, terminal, {
    program: { comparison: languageComparison, resolver: configs, flopsOf: (config) => languageSuite.flopsOf(config) }, ...configOptions, backend,
    evaluated: {
      description: 'runs at a grid of thresholds, experts per token and capacities; one table, one chart',
      shared: ['threshold', 'capacity-factor'],
      options: (command) => command
        .option(...checkpointOption('latest'))
        .addOption(new NamedOption('--split <name>', 'train, validation or test', splitNames, 'test'))
        .option('--threshold <list>', 'choose experts by these thresholds, e.g. 0.5,0.7,0.9', numberList)
        .option('--top-k <list>', 'choose so many experts for each token, e.g. 1,2,4', countList)
        .option('--capacity-factor <list>', 'with these capacities, which leak (default: nothing is dropped)', numberList)
        .option('--points <file>', 'a JSON list of points instead, e.g. [{"threshold": 0.5}, {"topK": 2}]')
        .option('--max-windows <count>', 'only the first windows, or all (default: as the run scored)', countOrAll)
        .option('--html <file>', 'also write table and chart as a page'),
      evaluate: (runs, options) => sweepCommand(terminal, runs, options),
    },
  });
}

/** Runs the command that `args` (without the program's name) ask for; returns the exit code. */
export function runProgram(args: readonly string[], streams: CommandLineStreams): Promise<number> {
  // Which engine computes belongs to the version.
  return runCommandLine(args, streams, createProgram, { afterVersion: async () => `CPU engine: ${await cpuEngine(openBackend)}\n` });
}

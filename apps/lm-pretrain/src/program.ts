// The command line of xmoe-lm: options and help, and how errors end it. What the commands do is in commands/.
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { cpuEngine, doctorCommand } from './commands/doctor.js';
import { evalCommand } from './commands/eval.js';
import { inspectCommand } from './commands/inspect.js';
import { prepareCommand } from './commands/prepare.js';
import { presetsCommand } from './commands/presets.js';
import { sampleCommand } from './commands/sample.js';
import { trainCommand } from './commands/train.js';
import { BACKEND_NAMES } from '@xmoe/backends';
import { locateVersion } from './package-root.js';
import { errorText, type Terminal } from './terminal.js';

const collect = (value: string, all: string[] = []): string[] => [...all, value];

function wholeNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError('expected a whole number from 0.');
  return value;
}

function countFromOne(text: string): number {
  const value = wholeNumber(text);
  if (value === 0) throw new InvalidArgumentError('expected a whole number from 1.');
  return value;
}

function finite(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('expected a number.');
  return value;
}

const backendOption = ['--backend <name>', `one of ${BACKEND_NAMES.join(', ')}`, 'auto'] as const;

/** Options that say what to train: shared by start, train and prepare. */
function withConfigOptions(command: Command, preset: string): Command {
  return command
    .option('--preset <name>', 'configuration to start from: a name (see: presets) or a JSON file', preset)
    .option('--router <name>', 'threshold, topk, switch, hash, base, uniform or dense')
    .option('--data <path...>', 'text, JSON lines or Parquet files, or directories of them, instead of the preset’s text')
    .option('--set <key=value>', 'sets any key of the configuration, e.g. moe.experts=16; repeatable', collect)
    .option('--data-root <dir>', 'where prepared shards are kept', 'runs/data')
    .allowUnknownOption()
    .allowExcessArguments();
}

function withTrainOptions(command: Command, preset: string): Command {
  return withConfigOptions(command, preset)
    .option(...backendOption)
    .option('--out <dir>', 'run directory (default: runs/PRESET-TIME)')
    .option('--resume', 'go on with the run in --out from its latest checkpoint')
    .option('--stop-after <step>', 'end this session, saved, after that step', wholeNumber)
    .option('--dry-run', 'print parameters, FLOPs, memory and steps without training')
    .option('--debug <level>', 'off, nan (find the op that makes a NaN), leaks or all', 'off')
    .option('--profile', 'print the time of each kernel after training; slower while it measures')
    .addHelpText('after', '\nAny other flag names a key of the configuration, e.g. --max-steps 30 --learning-rate 1e-3 --threshold 0.8 --dispatch grouped.');
}

function createProgram(terminal: Terminal): Command {
  const version = locateVersion(import.meta.url);
  // Before the commands: each inherits these when it is added.
  const program = new Command('xmoe-lm')
    .exitOverride()
    .configureOutput({ writeOut: (text) => terminal.output.write(text), writeErr: (text) => terminal.messages.write(text) });
  program.description('Pretrain, evaluate and inspect XMoE language models.').version(version);
  withTrainOptions(program.command('start').description('train a small XMoE on real text and show what it learned'), 'tiny').action((options, command) => trainCommand(terminal, options, command));
  withTrainOptions(program.command('train').description('train a preset'), 'tiny').action((options, command) => trainCommand(terminal, options, command));
  withConfigOptions(program.command('prepare').description('corpus to tokenizer to shards; training does this by itself'), 'tiny')
    .option('--out <dir>', 'directory of the shards (default: one under --data-root)')
    .action((options, command) => prepareCommand(terminal, options, command));
  program
    .command('eval <run>')
    .description('perplexity of a run with the training capacity and without dropping')
    .option(...backendOption)
    .option('--checkpoint <which>', 'best, latest, a name like step-00000500, or a path', 'best')
    .option('--split <name>', 'train, validation or test', 'test')
    .option('--threshold <t>', 'another threshold than in training', finite)
    .option('--capacity-factor <gamma>', 'another capacity factor than in training', finite)
    .option('--batch-size <B>', 'windows per routing group (default: as in training)', countFromOne)
    .option('--max-windows <count>', 'score only the first windows', countFromOne)
    .option('--json', 'print one JSON object')
    .action((run, options) => evalCommand(terminal, run, options));
  program
    .command('sample <run>')
    .description('continue a prompt')
    .option(...backendOption)
    .option('--checkpoint <which>', 'best, latest, a name like step-00000500, or a path', 'best')
    .option('--prompt <text>', 'text to continue', 'The ')
    .option('--max-tokens <count>', 'tokens to add', wholeNumber, 120)
    .option('--temperature <value>', '0 takes the likeliest token', finite, 0.8)
    .option('--top-k <k>', 'only the k likeliest tokens; 0: all', wholeNumber, 0)
    .option('--top-p <mass>', 'only the likeliest tokens of this mass', finite, 0.95)
    .option('--seed <seed>', 'same seed, same text', wholeNumber, 1)
    .action((run, options) => sampleCommand(terminal, run, options));
  program
    .command('inspect <run>')
    .description('how many experts each token of a text takes, by layer')
    .option(...backendOption)
    .option('--checkpoint <which>', 'best, latest, a name like step-00000500, or a path', 'best')
    .option('--text <text>', 'text to route (default: the beginning of the test split)')
    .option('--html <file>', 'where the page goes (default: RUN/inspect.html)')
    .action((run, options) => inspectCommand(terminal, run, options));
  program.command('presets').description('list the presets').action(() => presetsCommand(terminal));
  program.command('doctor').description('what this machine offers: Node, WebAssembly, and each backend with the reason where it does not work').action(() => doctorCommand(terminal, version));
  return program;
}

/**
 * Runs the command that `args` (without the program's name) ask for.
 * @returns the exit code: 0, 1 for an error, 2 for a wrong command line, 130 or 143 after a signal
 */
export async function runProgram(args: readonly string[], streams: Pick<Terminal, 'output' | 'messages'>): Promise<number> {
  const terminal: Terminal = { ...streams, exitCode: 0 };
  try {
    await createProgram(terminal).parseAsync(args, { from: 'user' });
    return terminal.exitCode;
  } catch (error) {
    // Commander has told the version; which engine computes belongs to it.
    if (error instanceof CommanderError && error.code === 'commander.version') terminal.output.write(`CPU engine: ${await cpuEngine()}\n`);
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2; // commander has told why
    terminal.messages.write(`${errorText(error)}\n`);
    return 1;
  }
}

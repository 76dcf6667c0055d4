// The command `sweep` of a program: trains a grid with --vary, and, where the program can, evaluates runs that are named at one. Options and help.
import { XMoEError } from '@xmoe/core';
import type { JsonObject } from '@xmoe/files';
import type { Command } from 'commander';
import { countFromOne, withConfigOptions } from '../command-flags.js';
import type { TaskConfig } from '../task.js';
import type { Terminal } from '../terminal.js';
import { sweepRuns, type SweepRunsOptions, type SweptProgram } from './sweep-runs.js';

/** How runs that are named are evaluated at a grid. */
export interface EvaluatedSweep<Options> {
  readonly description: string;
  /** Adds its options. */
  options(command: Command): Command;
  /** Flags of the configuration among its options, where --vary trains: their names. */
  readonly shared: readonly string[];
  evaluate(runs: readonly string[], options: Options): Promise<void>;
}

export interface SweepCommandParts<Config extends TaskConfig, Options> {
  readonly program: SweptProgram<Config>;
  readonly preset: string;
  readonly dataHelp: string;
  readonly backend: readonly [string, string, string];
  readonly evaluated?: EvaluatedSweep<Options>;
}

const collect = (value: string, all: string[] = []): string[] => [...all, value];

/** Options of training alone, by the names of their values. */
const TRAINING_ONLY = ['preset', 'router', 'data', 'set', 'seeds', 'jobs', 'out', 'dryRun', 'dataRoot'];
/** Options of both. */
const SHARED = new Set(['backend', 'json']);

export function addSweepCommand<Config extends TaskConfig, Options>(command: Command, terminal: Terminal, { program, preset, dataHelp, backend, evaluated }: SweepCommandParts<Config, Options>): void {
  const trains = 'trains at a grid of values and seeds, a directory each, and compares the runs';
  const sweep = command.command('sweep [runs...]').description(evaluated ? `--vary KEY=VALUES ${trains}; RUN… evaluates ${evaluated.description}` : trains)
    .summary(evaluated ? 'train at a grid of values and seeds, or evaluate runs at one' : trains);
  sweep.option(...backend).helpOption('-h, --help', 'display help for command').optionsGroup('To train:');
  withConfigOptions(sweep
    .option('--vary <key=values>', 'with each of these values, e.g. moe.router.threshold=0.5,0.9; repeatable', collect)
    .option('--seeds <count>', 'train each so often, from the seed of the configuration on', countFromOne), { preset, dataHelp })
    .option('--jobs <count>', 'trainings at a time, each on one thread', countFromOne, 1)
    .option('--out <dir>', 'folder of runs and report (default: runs/PRESET-sweep)')
    .option('--dry-run', 'print what would be trained and its cost, and do nothing');
  evaluated?.options(sweep.optionsGroup('To evaluate runs:'));
  sweep
    .addHelpText('after', '\nWith --vary or --seeds, any other flag names a key of the configuration, as for train.\nThe same command again goes on.')
    .action((_runs: string[], options: Options & SweepRunsOptions, own: Command) => {
      const given = (name: string): boolean => own.getOptionValueSource(name) === 'cli';
      if (!given('vary') && !given('seeds')) return evaluate(own, options, evaluated, given);
      return sweepRuns(terminal, program, options, own, sharedFlags(own, options, evaluated, given));
    });
}

function evaluate<Options>(own: Command, options: Options, evaluated: EvaluatedSweep<Options> | undefined, given: (name: string) => boolean): Promise<void> {
  const flag = own.args.find((argument) => argument.startsWith('-'));
  const training = TRAINING_ONLY.find(given);
  if (!evaluated || training !== undefined) {
    throw new XMoEError('config', training === undefined ? 'nothing is varied' : `${flagOf(own, training)} is for training, and nothing is varied`, { hint: 'name values with --vary KEY=VALUE,VALUE, or --seeds' });
  }
  if (flag !== undefined) throw new XMoEError('config', `unknown option ${flag}`, { hint: 'see --help; keys of the configuration are for training, with --vary' });
  if (own.args.length === 0) throw new XMoEError('config', 'no run is named, and nothing is varied', { hint: 'name runs to evaluate, or values to train with: --vary KEY=VALUE,VALUE' });
  return evaluated.evaluate(own.args, options);
}

/** What of the options of evaluation is a flag of training too, with one value. @throws XMoEError `config` for the others that are given */
function sharedFlags<Options>(own: Command, options: Options, evaluated: EvaluatedSweep<Options> | undefined, given: (name: string) => boolean): JsonObject {
  const flags: JsonObject = {};
  for (const option of own.options) {
    const [name, long] = [option.attributeName(), option.long!.slice(2)];
    if (!given(name) || SHARED.has(name) || name === 'vary' || TRAINING_ONLY.includes(name)) continue;
    const value = (options as Record<string, unknown>)[name];
    if (!evaluated?.shared.includes(long)) throw new XMoEError('config', `--${long} is for evaluating runs, and --vary trains`, { hint: 'leave it out, and evaluate the runs afterwards: sweep RUN…' });
    if (!Array.isArray(value) || value.length !== 1) throw new XMoEError('config', `--${long} has several values`, { hint: `to train with each: --vary ${long}=${String(value)}` });
    flags[long] = value[0] as number;
  }
  return flags;
}

const flagOf = (own: Command, name: string): string => own.options.find((option) => option.attributeName() === name)!.long!;

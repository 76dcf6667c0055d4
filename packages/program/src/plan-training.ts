// From the options of a training command to what is to be trained, where and on what. Trains nothing.
import { basename, join } from 'node:path';
import { XMoEError, type EngineOptions } from '@xmoe/core';
import type { Command } from 'commander';
import type { RunOutcome } from '@xmoe/train/node';
import { configOf, type ConfigOptions, type DEBUG_LEVELS } from './command-flags.js';
import { initialAgain, type InitialWeights, type ReadInitialWeights } from './initial-weights.js';
import type { ConfigResolver } from './resolve-config.js';
import type { RunRecord } from './run-directory.js';

/** What the options of `withTrainOptions` give. */
export interface TrainOptions extends ConfigOptions {
  backend: string;
  out?: string;
  initFrom?: string;
  resume?: boolean;
  checkpoint?: string;
  stopAfter?: number;
  dryRun?: boolean;
  debug: DebugLevel;
  profile?: boolean;
  /** A line about the preset, before a new run of it trains. */
  about?: string;
}

export interface TrainingPlan<Config> {
  config: Config;
  preset: string;
  backend: string;
  /** Run directory. */
  out: string;
  /** Directory that prepared data goes under. */
  dataRoot: string;
  /** The run to go on with; absent for a new one. */
  resumed?: RunRecord<Config>;
  /** Weights to begin with instead of random ones. */
  initial?: InitialWeights<Config>;
  /** Which checkpoint of it, if not the latest. */
  checkpoint?: string;
  /** End this session, saved, after this step. */
  stopAfter?: number;
  debug: NonNullable<EngineOptions['debug']>;
  /** Print the time per kernel after training. */
  profile: boolean;
}

export interface PlanRules<Config> {
  resolver: ConfigResolver<Config>;
  /** Of the run to go on with. */
  readRecord(directory: string): Promise<RunRecord<Config>>;
  /** Raises an error when that would be another run. */
  checkResumable(saved: Config, current: Config, where: string): void;
  /** Of a task that can begin with weights that exist. */
  readInitial?: ReadInitialWeights<Config>;
}

type DebugLevel = (typeof DEBUG_LEVELS)[number];

export async function planTraining<Config>(options: TrainOptions, command: Command, rules: PlanRules<Config>): Promise<TrainingPlan<Config>> {
  if (options.resume && options.out === undefined) {
    throw new XMoEError('config', '--resume needs --out', { hint: 'name the run directory to go on with' });
  }
  if (options.checkpoint !== undefined && !options.resume) {
    throw new XMoEError('config', '--checkpoint needs --resume', { hint: 'it names the checkpoint of a run to go on from' });
  }
  if (options.initFrom !== undefined && options.resume) {
    throw new XMoEError('config', '--init-from begins a run, and --resume goes on with one', { hint: 'leave one of them out; a run remembers what it began with' });
  }
  const record = options.resume ? await rules.readRecord(options.out!) : undefined;
  if (record?.trained === false) {
    throw new XMoEError('config', `${options.out!} holds weights, and no training to go on with`, { hint: `begin one with --init-from ${options.out!}, in another --out` });
  }
  // Flags apply to the configuration of the run to go on with, unless a preset is named, and must not change it.
  const given = (name: string): boolean => command.getOptionValueSource(name) === 'cli';
  const initial = options.initFrom === undefined
    ? await initialAgain(options.out ?? '', record?.initial, rules.readInitial)
    : await rules.readInitial!(options.initFrom, { presetGiven: given('preset') });
  const config = await configOf(rules.resolver, options, command, {
    ...(record && !given('preset') ? { base: record.config } : {}),
    ...(initial && !record ? { configure: (preset) => initial.configure(preset) } : {}),
  });
  if (record) rules.checkResumable(record.config, config, options.out!);
  const preset = record?.preset ?? basename(options.preset, '.json');
  return {
    config,
    preset,
    backend: record && !given('backend') ? record.backend : options.backend,
    out: options.out ?? join('runs', `${preset}-${timestamp()}`),
    dataRoot: options.dataRoot,
    ...(record ? { resumed: record } : {}),
    ...(initial ? { initial } : {}),
    ...(options.checkpoint === undefined ? {} : { checkpoint: options.checkpoint }),
    ...(options.stopAfter === undefined ? {} : { stopAfter: options.stopAfter }),
    debug: options.debug,
    profile: options.profile ?? false,
  };
}

/** Of a run that came to its end, but whose result is not a number. */
export function noResult(what: string, { skippedUpdates, step }: Pick<RunOutcome, 'skippedUpdates' | 'step'>, out: string): XMoEError {
  return new XMoEError('numerics', `the run ended without a finite result: ${what}; ${skippedUpdates} of ${step} updates were skipped`, {
    hint: `begin again with a lower --learning-rate, or go on from an earlier checkpoint with --resume --out ${out} --checkpoint NAME --learning-rate VALUE`,
  });
}

/** How a session that did not finish the run ended, and how to go on. */
export function unfinishedText({ completed, step }: RunOutcome, steps: number, out: string): string {
  if (completed) return `Trained and saved, but not evaluated. Do that with --resume --out ${out}\n`;
  return `Stopped after ${step} of ${steps} ${steps === 1 ? 'step' : 'steps'}. Go on with --resume --out ${out}\n`;
}

function timestamp(): string {
  return new Date().toISOString().slice(0, 19).replace('T', '-').replaceAll(':', '');
}

// start and train: one run from configuration to report. --dry-run only counts.
import { basename, join } from 'node:path';
import { createCpuBackend } from '@xmoe/backend-cpu';
import { createEngine, XMoEError } from '@xmoe/core';
import { formatCompact } from '@xmoe/train';
import type { Command } from 'commander';
import { checkResumable, type Config } from '../config.js';
import { finishRun } from '../finish.js';
import { buildModel, modelSize } from '../model.js';
import { readRunRecord, RUN_FILES } from '../session.js';
import { closingText, facts, type Terminal } from '../terminal.js';
import { trainRun, type TrainedModel, type TrainRequest } from '../train-run.js';
import { configOf, type ConfigOptions } from './config-options.js';

interface TrainOptions extends ConfigOptions {
  backend: string;
  out?: string;
  resume?: boolean;
  stopAfter?: number;
  dryRun?: boolean;
  debug: string;
  profile?: boolean;
}

const DEBUG_LEVELS = ['off', 'nan', 'leaks', 'all'] as const;

export async function trainCommand(terminal: Terminal, options: TrainOptions, command: Command): Promise<void> {
  if (options.resume && options.out === undefined) {
    throw new XMoEError('config', '--resume needs --out', { hint: 'name the run directory to go on with' });
  }
  const level = DEBUG_LEVELS.find((name) => name === options.debug);
  if (!level) throw new XMoEError('config', `there is no debug level ${JSON.stringify(options.debug)}`, { hint: `one of ${DEBUG_LEVELS.join(', ')}` });
  const record = options.resume ? await readRunRecord(options.out!) : undefined;
  // Flags apply to the configuration of the run to go on with, unless a preset is named, and must not change it.
  const given = (name: string): boolean => command.getOptionValueSource(name) === 'cli';
  const config = await configOf(options, command, given('preset') ? undefined : record?.config);
  if (record) checkResumable(record.config, config, options.out!);
  const preset = record?.preset ?? basename(options.preset, '.json');
  if (options.dryRun) {
    terminal.output.write(dryRunText(preset, config));
    return;
  }
  const out = options.out ?? join('runs', `${preset}-${timestamp()}`);
  const request: TrainRequest = {
    config, out, preset, dataRoot: options.dataRoot, debug: level, profile: options.profile, stream: terminal.messages,
    backend: record && !given('backend') ? record.backend : options.backend,
    ...(record ? { resumeData: record.data } : {}),
    ...(options.stopAfter === undefined ? {} : { stopAfter: options.stopAfter }),
  };
  terminal.messages.write(`${preset}: ${headline(config)}\n`);
  await trainRun(request, (trained) => close(terminal, trained));
}

/** Evaluates and reports a completed run; says how to go on with one that was stopped. */
async function close(terminal: Terminal, trained: TrainedModel): Promise<void> {
  const { request, outcome, stop } = trained;
  const { out, config } = request;
  const finished = outcome.completed && !stop.requested ? await finishRun(trained) : null;
  terminal.exitCode = stop.exitCode;
  if (finished) terminal.output.write(closingText(finished, join(out, RUN_FILES.checkpoints)));
  else if (outcome.completed) terminal.output.write(`Trained and saved, but not evaluated. Do that with --resume --out ${out}\n`);
  else terminal.output.write(`Stopped after ${outcome.step} of ${config.train.steps} steps. Go on with --resume --out ${out}\n`);
}

function timestamp(): string {
  return new Date().toISOString().slice(0, 19).replace('T', '-').replaceAll(':', '');
}

function headline({ model, moe, train }: Config): string {
  const experts = moe ? `${moe.experts} experts of ${moe.expertHidden} (${moe.router.type}, ${moe.dispatch}, γ = ${moe.capacityFactor})` : 'dense';
  return `${model.layers} layers of width ${model.width}, ${experts}, ${train.steps} steps`;
}

/** What a run of this configuration would be. */
function dryRunText(preset: string, config: Config): string {
  const { train, model: shape, data } = config;
  const vocabularySize = data.tokenizer.type === 'gpt2' ? 50257 : data.tokenizer.vocabularySize;
  const engine = createEngine(createCpuBackend());
  const model = buildModel(engine, config, vocabularySize);
  const size = modelSize(config, model, vocabularySize);
  engine.dispose();
  const tokensPerStep = train.batchSize * train.accumulation * shape.contextLength;
  const tokens = tokensPerStep * train.steps;
  return `${preset}: ${headline(config)}\n${facts([
    ['parameters', `${formatCompact(size.parameters)} (${size.parameters})`],
    ['active per token', `${formatCompact(size.activeParameters)} at the budget, with the output projection`],
    ['FLOPs per token', `${formatCompact(size.flopsPerToken)} forward and backward`],
    ['memory', `${formatCompact(size.trainingBytes)}B for weights, gradients and moments; activations come on top`],
    ['steps', `${train.steps} of ${train.batchSize * train.accumulation} sequences of ${shape.contextLength} tokens`],
    ['tokens', `${formatCompact(tokens)} (${formatCompact(tokensPerStep)} per step)`],
    ['FLOPs', formatCompact(size.flopsPerToken * tokens)],
  ])}\n`;
}

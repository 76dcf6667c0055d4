// start and train: one run from configuration to report. --dry-run only counts.
import { join } from 'node:path';
import { createCpuBackend } from '@xmoe/backend-cpu';
import { createEngine, XMoEError } from '@xmoe/core';
import { formatCompact } from '@xmoe/train';
import type { Command } from 'commander';
import type { Config } from '../config.js';
import { finishRun } from '../finish.js';
import { buildModel, modelSize } from '../model.js';
import { readRunRecord, RUN_FILES } from '../session.js';
import { closingText, facts } from '../terminal.js';
import { trainRun, type TrainRequest } from '../train-run.js';
import { configOf, type ConfigOptions } from './config-options.js';

interface TrainOptions extends ConfigOptions {
  backend: string;
  out?: string;
  resume?: boolean;
  stopAfter?: number;
  dryRun?: boolean;
  debug: string;
}

const DEBUG_LEVELS = ['off', 'nan', 'leaks', 'all'] as const;

export async function trainCommand(options: TrainOptions, command: Command): Promise<void> {
  if (options.resume && options.out === undefined) {
    throw new XMoEError('config', '--resume needs --out', { hint: 'name the run directory to go on with' });
  }
  const level = DEBUG_LEVELS.find((name) => name === options.debug);
  if (!level) throw new XMoEError('config', `there is no debug level ${JSON.stringify(options.debug)}`, { hint: `one of ${DEBUG_LEVELS.join(', ')}` });
  // A resumed run keeps its configuration; flags given again must agree with it (checked against the checkpoint).
  const record = options.resume ? await readRunRecord(options.out!) : undefined;
  const config = record && !asksForConfig(options, command) ? record.config : await configOf(options, command);
  const preset = record?.preset ?? options.preset;
  if (options.dryRun) {
    process.stdout.write(dryRunText(preset, config));
    return;
  }
  const out = options.out ?? join('runs', `${preset}-${timestamp()}`);
  const request: TrainRequest = {
    config, out, preset, backend: options.backend, dataRoot: options.dataRoot, resume: options.resume ?? false, debug: level, stream: process.stderr,
    ...(options.stopAfter === undefined ? {} : { stopAfter: options.stopAfter }),
  };
  process.stderr.write(`${preset}: ${headline(config)}\n`);
  await trainRun(request, async (trained) => {
    process.exitCode = trained.exitCode;
    if (trained.outcome.completed) {
      process.exitCode = 0;
      process.stdout.write(closingText(await finishRun(trained), join(out, RUN_FILES.checkpoints)));
    } else {
      process.stdout.write(`Stopped at step ${trained.outcome.step} of ${config.train.steps}. Go on with --resume --out ${out}\n`);
    }
  });
}

/** Whether any flag says what to train. */
function asksForConfig(options: TrainOptions, command: Command): boolean {
  const named = options.set ?? options.router ?? options.data;
  return named !== undefined || command.args.length > 0 || command.getOptionValueSource('preset') === 'cli';
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

// start and train: one run from configuration to report. --dry-run only counts.
import { join } from 'node:path';
import { createCpuBackend } from '@xmoe/backend-cpu';
import { createEngine } from '@xmoe/core';
import { formatCompact } from '@xmoe/train';
import { facts, planTraining, RUN_FILES, unfinishedText, type Terminal, type TrainOptions } from '@xmoe/train/program';
import type { Command } from 'commander';
import { closingText } from '../closing-text.js';
import { checkResumable, configs, type Config } from '../config.js';
import { finishRun } from '../finish.js';
import { buildModel, modelSize } from '../model.js';
import { readRecord } from '../session.js';
import { trainRun, type TrainedModel } from '../train-run.js';

export async function trainCommand(terminal: Terminal, options: TrainOptions, command: Command): Promise<void> {
  const plan = await planTraining<Config>(options, command, { resolver: configs, readRecord, checkResumable });
  if (options.dryRun) {
    terminal.output.write(dryRunText(plan.preset, plan.config));
    return;
  }
  terminal.messages.write(`${plan.preset}: ${headline(plan.config)}\n`);
  await trainRun({ ...plan, stream: terminal.messages }, (trained) => close(terminal, trained));
}

/** Evaluates and reports a completed run; says how to go on with one that was stopped. */
async function close(terminal: Terminal, trained: TrainedModel): Promise<void> {
  const { request, outcome, stop } = trained;
  const { out, config } = request;
  const finished = outcome.completed && !stop.requested ? await finishRun(trained) : null;
  terminal.exitCode = stop.exitCode;
  if (finished) terminal.output.write(closingText(finished, join(out, RUN_FILES.checkpoints)));
  else terminal.output.write(unfinishedText(outcome, config.train.steps, out));
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

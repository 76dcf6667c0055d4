// demo and train: one run from configuration to report. --dry-run only counts.
import { join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { translationMemoryNeeds, translationModelSize, translationVocabulary } from '@xmoe/models';
import { formatCompact } from '@xmoe/train';
import { facts, memoryHere, memoryText, noResult, planTraining, RUN_FILES, unfinishedText, type Terminal, type TrainOptions } from '@xmoe/program';
import type { Command } from 'commander';
import { closingText } from '../closing-text.js';
import { checkResumable, configs, type Config } from '../config.js';
import { finishRun } from '../finish.js';
import { readRecord } from '../session.js';
import { trainRun, type TrainedModel } from '../train-run.js';

export async function trainCommand(terminal: Terminal, options: TrainOptions, command: Command): Promise<void> {
  const plan = await planTraining<Config>(options, command, { resolver: configs, readRecord, checkResumable });
  if (options.dryRun) {
    terminal.output.write(dryRunText(plan.preset, plan.config));
    return;
  }
  terminal.messages.write(`${plan.preset}: ${headline(plan.config)}\n`);
  terminal.outliveReaders(); // metrics and checkpoints are the record
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
  if (finished && !Number.isFinite(Math.exp(finished.summary.testLoss))) throw noResult(`test loss ${finished.summary.testLoss}`, outcome, out);
}

function headline({ model, moe, train, data }: Config): string {
  const experts = moe
    ? `${moe.experts} experts of ${moe.expertHidden} in the ${moe.side === 'both' ? 'encoder and decoder' : moe.side} (${moe.router.type}, ${moe.dispatch}, γ = ${moe.capacityFactor})`
    : 'dense';
  return `${data.sourceLanguage}-${data.targetLanguage}, ${model.encoderLayers} + ${model.decoderLayers} layers of width ${model.width}, ${experts}, ${train.steps} ${train.steps === 1 ? 'step' : 'steps'}`;
}

/** Tokens of each side of the pair that FLOPs are told for. */
const PAIR_LENGTH = 32;

/** What a run of this configuration would be. */
function dryRunText(preset: string, config: Config): string {
  const { train } = config;
  const vocabularySize = translationVocabulary(config);
  if (vocabularySize === null) throw new XMoEError('config', '--dry-run cannot know the vocabulary of a tokenizer file', { hint: 'use --set data.tokenizer.type=bpe with the vocabularySize of the file' });
  const size = translationModelSize(config, vocabularySize);
  const { needs, knobs } = translationMemoryNeeds(config, vocabularySize);
  const flops = size.flopsPerPairToken(PAIR_LENGTH);
  const tokens = Math.max(train.updateTokens, train.batchTokens);
  return `${preset}: ${headline(config)}\n${facts([
    ['parameters', `${formatCompact(size.parameters)} (${size.parameters})`],
    ['active per source token', `${formatCompact(size.activePerSource)} (${size.activePerSource}) at the budget`],
    ['active per target token', `${formatCompact(size.activePerTarget)} (${size.activePerTarget}), with the output projection`],
    ['FLOPs per pair of tokens', `${formatCompact(flops)} (${flops}) forward and backward, in sentences of ${PAIR_LENGTH} tokens`],
    ['memory', `at least ${memoryText(needs)}; ${memoryHere(needs, knobs)}`],
    ['steps', `${train.steps} of about ${formatCompact(tokens)} target tokens, in micro-batches of at most ${train.batchTokens}, ${train.warmupSteps} of warm-up`],
    ['tokens', formatCompact(tokens * train.steps)],
    ['FLOPs', formatCompact(flops * tokens * train.steps)],
  ])}\n`;
}

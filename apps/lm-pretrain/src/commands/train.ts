// start and train: one run from configuration to report. --dry-run only counts.
import { join } from 'node:path';
import { languageMemoryNeeds, languageModelSize, languageVocabulary } from '@xmoe/models';
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
  if (!finished) return;
  const { testPerplexity } = finished.summary; // absent without a test split
  if (testPerplexity === undefined && outcome.skippedInARow > 0) throw noResult('its last update was skipped', outcome, out);
  if (testPerplexity !== undefined && !Number.isFinite(testPerplexity)) throw noResult(`test perplexity ${testPerplexity}`, outcome, out);
}

function headline({ model, moe, train }: Config): string {
  const experts = moe ? `${moe.experts} experts of ${moe.expertHidden} (${moe.router.type}, ${moe.dispatch}, γ = ${moe.capacityFactor})` : 'dense';
  return `${model.layers} ${model.layers === 1 ? 'layer' : 'layers'} of width ${model.width}, ${experts}, ${train.steps} ${train.steps === 1 ? 'step' : 'steps'}`;
}

/** What a run of this configuration would be. */
function dryRunText(preset: string, config: Config): string {
  const { train, model: shape } = config;
  const vocabularySize = languageVocabulary(config);
  const size = languageModelSize(config, vocabularySize);
  const { needs, knobs } = languageMemoryNeeds(config, vocabularySize);
  const tokensPerStep = train.batchSize * train.accumulation * shape.contextLength;
  const tokens = tokensPerStep * train.steps;
  return `${preset}: ${headline(config)}\n${facts([
    ['parameters', `${formatCompact(size.parameters)} (${size.parameters})`],
    ['active per token', `${formatCompact(size.activeParameters)} at the budget, with the output projection`],
    ['FLOPs per token', `${formatCompact(size.flopsPerToken)} forward and backward`],
    ['memory', `at least ${memoryText(needs)}; ${memoryHere(needs, knobs)}`],
    ['steps', `${train.steps} of ${train.batchSize * train.accumulation} sequences of ${shape.contextLength} tokens, ${train.warmupSteps} of warm-up`],
    ['tokens', `${formatCompact(tokens)} (${formatCompact(tokensPerStep)} per step)`],
    ['FLOPs', formatCompact(size.flopsPerToken * tokens)],
  ])}\n`;
}

// start, demo and train of every program: one run from configuration to closing text. --dry-run only counts.
import type { Command } from 'commander';
import type { BackendOpener } from './device.js';
import { openTraining } from './open-training.js';
import { noResult, planTraining, unfinishedText, type TrainOptions } from './plan-training.js';
import type { Task, TaskConfig, TaskData, TaskModel } from './task.js';
import type { Terminal } from './terminal.js';

/** @throws XMoEError what is wrong with the options, the data or the run; `numerics` when its result is not a number */
export async function trainCommand<Config extends TaskConfig, Data extends TaskData, Model extends TaskModel<Host>, Host>(
  task: Task<Config, Data, Model, Host>,
  openBackend: BackendOpener,
  terminal: Terminal,
  options: TrainOptions,
  command: Command,
): Promise<void> {
  const plan = await planTraining<Config>(options, command, task.configuration);
  const begins = plan.initial ? `Weights: ${plan.initial.text}\n` : '';
  if (options.dryRun) {
    await plan.initial?.tensors(plan.config); // what cannot begin the run is said now
    terminal.output.write(`${begins}${task.describe.dryRun(plan.preset, plan.config)}`);
    return;
  }
  terminal.messages.write(`${plan.preset}: ${task.describe.headline(plan.config)}\n${begins}`);
  terminal.outliveReaders(); // metrics and checkpoints are the record
  await using run = await openTraining(plan, task, { openBackend, stream: terminal.messages });
  const outcome = await run.train();
  const finished = outcome.completed && !run.stop.requested ? await task.finish(run, outcome) : null;
  terminal.exitCode = run.stop.exitCode;
  terminal.output.write(finished ? finished.text : unfinishedText(outcome, plan.config.train.steps, plan.out));
  if (finished?.problem !== undefined) throw noResult(finished.problem, outcome, plan.out);
}

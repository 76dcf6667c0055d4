// start, demo and train of every program: one run from configuration to closing text. --dry-run only counts.
import type { XMoEError } from '@xmoe/core';
import { anyNow, type Comm } from '@xmoe/distributed';
import type { Command } from 'commander';
import type { BackendOpener } from './device.js';
import { exitCodeOf } from './exit-codes.js';
import { openTraining, type TrainingPlace, type TrainingRun } from './open-training.js';
import { noResult, planTraining, unfinishedText, type TrainingPlan, type TrainOptions } from './plan-training.js';
import { openRanks, planOnRanks, SILENT } from './ranks.js';
import type { Finished, Task, TaskConfig, TaskData, TaskModel } from './task.js';
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
    const { text, document } = task.describe.dryRun(plan.preset, plan.config);
    terminal.result({ preset: plan.preset, ...document, config: plan.config }, `${begins}${text}`);
    return;
  }
  const ranks = openRanks();
  const { comm } = ranks;
  const stream = comm.rank === 0 ? terminal.messages : SILENT;
  const about = options.about && !plan.resumed ? `${options.about}\n` : '';
  stream.write(`${plan.preset}: ${task.describe.headline(plan.config)}\n${about}${begins}${ranks.launched ? `Ranks: ${ranks.description}\n` : ''}`);
  terminal.outliveReaders(); // metrics and checkpoints are the record
  const ended = await trainOnRanks(await planOnRanks(plan, ranks), task, { openBackend, stream, comm });
  terminal.exitCode = ended.exitCode;
  if (comm.rank === 0) terminal.result(ended.document, ended.text); // before others may end: with a code of their own they end this one
  else terminal.resultElsewhere();
  await comm.close(ended.problem ? exitCodeOf(ended.problem) : ended.exitCode);
  if (ended.problem) throw ended.problem;
}

/** The run, for ranks that compute it together: what is asked to stop on one stops on all, where they next look. */
function stoppedTogether<Config, Data, Model>(run: TrainingRun<Config, Data, Model>): TrainingRun<Config, Data, Model> {
  const stop = Object.create(run.stop, { requested: { get: () => anyNow(run.comm, run.stop.requested) } }) as typeof run.stop;
  return Object.create(run, { stop: { value: stop } }) as typeof run;
}

/** How a session ended on this rank. */
interface Ended {
  exitCode: number;
  text: string;
  document: object;
  problem?: XMoEError;
}

/** Trains, evaluates on all ranks together, and reports on the first. */
async function trainOnRanks<Config extends TaskConfig, Data extends TaskData, Model extends TaskModel<Host>, Host>(
  plan: TrainingPlan<Config>, task: Task<Config, Data, Model, Host>, place: TrainingPlace & { comm: Comm },
): Promise<Ended> {
  await using run = await openTraining(plan, task, place);
  const outcome = await run.train();
  const finish = async (as: typeof run): Promise<Finished | null> => (outcome.completed && !as.stop.requested ? task.finish(as, outcome) : null);
  const finished = await finish(run.comm.size > 1 ? stoppedTogether(run) : run);
  const { steps } = plan.config.train;
  return {
    exitCode: run.stop.exitCode,
    document: { run: plan.out, completed: outcome.completed, step: outcome.step, steps, ...finished?.document, ...(finished?.problem === undefined ? {} : { problem: finished.problem }) },
    text: finished ? finished.text : unfinishedText(outcome, steps, plan.out),
    ...(finished?.problem === undefined ? {} : { problem: noResult(finished.problem, outcome, plan.out) }),
  };
}

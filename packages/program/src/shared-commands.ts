// The commands that every program with a task has, with their options and help: the first minutes (start, demo) and train; presets and
// doctor. What else a program can do it adds itself.
import type { Command } from 'commander';
import { backendOption, countFromOne, withConfigOptions, withTrainOptions } from './command-flags.js';
import type { BackendOpener } from './device.js';
import { doctorCommand } from './doctor.js';
import { CHECK_COMMAND, checkCommand, launchCommand, MPI_NAMES } from './launch-command.js';
import type { Task, TaskConfig, TaskData, TaskModel } from './task.js';
import { addCompletionCommand } from './completion/add-completion-command.js';
import { NamedOption } from './named-option.js';
import { forRanks } from './on-ranks.js';
import { alignedFacts, type Terminal } from './terminal.js';
import { wrapText } from './wrap-text.js';
import { trainCommand } from './train-command.js';

export interface FirstCommand {
  readonly name: string;
  readonly description: string;
  /** The preset where none is named. Default: that of all commands. */
  readonly preset?: string;
  /** A line about that preset, before it trains. */
  readonly about?: string;
}

/** A program with a task. */
export interface TaskProgram<Config extends TaskConfig, Data extends TaskData, Model extends TaskModel<Host>, Host> {
  readonly version: string;
  readonly task: Task<Config, Data, Model, Host>;
  readonly openBackend: BackendOpener;
  readonly backendNames: readonly string[];
  /** Where --backend is not given. */
  readonly defaultBackend: string;
  /** The command for a first run, which is `train` with a name of its own. */
  readonly first: FirstCommand;
  /** The preset where none is named. */
  readonly preset: string;
  /** Describes --data. */
  readonly dataHelp: string;
  /** What --init-from takes, of a task that can begin with weights. */
  readonly initialSources?: string;
  /** Examples of flags that name keys of the configuration. */
  readonly flagExamples: string;
}

/** What stands below the options of commands that take keys of the configuration as flags. */
export const moreFlagsText = (examples: string): string => `\n${wrapText(`Any other flag names a key of the configuration, e.g. ${examples}.`, 100)}`;

/** Adds the first command and `train`. */
export function addTrainingCommands<Config extends TaskConfig, Data extends TaskData, Model extends TaskModel<Host>, Host>(
  program: Command,
  terminal: Terminal,
  { task, openBackend, backendNames, defaultBackend, first, preset, dataHelp, initialSources = 'a run or a checkpoint', flagExamples }: TaskProgram<Config, Data, Model, Host>,
): void {
  const commands: readonly FirstCommand[] = [first, { name: 'train', description: 'train a preset' }];
  for (const { name, description, preset: own = preset, about } of commands) {
    const training = forRanks(withTrainOptions(withConfigOptions(program.command(name).description(description), { preset: own, dataHelp }), backendOption(backendNames, defaultBackend)));
    if (task.configuration.readInitial) training.option('--init-from <path>', `begin with the weights of ${initialSources}`);
    training
      .addHelpText('after', moreFlagsText(flagExamples))
      .action((options, command) => trainCommand(task, openBackend, terminal, { ...options, ...(about && options.preset === own ? { about } : {}) }, command));
  }
}

/** Adds `presets`, `doctor`, `launch` and `completion`. */
export function addLookupCommands<Config extends TaskConfig, Data extends TaskData, Model extends TaskModel<Host>, Host>(
  program: Command,
  terminal: Terminal,
  { version, task, backendNames, openBackend, preset }: TaskProgram<Config, Data, Model, Host>,
): void {
  program.command('presets').description('list the presets')
    .action(async () => {
      const presets = await task.configuration.resolver.presets();
      terminal.result({ presets: presets.map(([name, description]) => ({ name, description })) }, `${alignedFacts(presets)}\n`);
    });
  program.command('doctor').description('what this machine offers: Node, WebAssembly, and each backend with the reason where it does not work')
    .option('--mpi', 'start two ranks under each MPI as well')
    .action(({ mpi = false }) => doctorCommand(terminal, { program: task.configuration.program, version, backendNames, openBackend, mpi }));
  program.command('launch <command...>').description('start a command as several ranks, by the launcher of an MPI: launch -n 4 -- train --preset tiny')
    .requiredOption('-n, --ranks <count>', 'how many ranks', countFromOne)
    .option('--hosts <list>', 'hosts with places for ranks, e.g. a:2,b:2 (default: this machine)')
    .addOption(new NamedOption('--mpi <name>', `${MPI_NAMES.join(' or ')} (default: the first that is there)`, MPI_NAMES))
    .action((command, options) => launchCommand(terminal, command, options));
  const { resolver } = task.configuration;
  addCompletionCommand(program, terminal, async () => ({ backends: backendNames, presets: (await resolver.presets()).map(([name]) => name), keys: await resolver.flagNames(preset) }));
  forRanks(program.command(CHECK_COMMAND, { hidden: true })).action(() => checkCommand(terminal));
}

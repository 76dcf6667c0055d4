// What programs that train share: command lines, configurations, run directories, text for the terminal. The entry
// @xmoe/program; reports and the start of a process are entries of their own.
export {
  backendOption, checkpointOption, configOf, countFromOne, countList, countOrAll, finiteNumber, numberList, wholeNumber, withConfigOptions, type ConfigOptions,
} from './command-flags.js';
export type { BackendOpener, Device } from './device.js';
export { cpuEngine } from './doctor.js';
export { EXIT_CODES } from './exit-codes.js';
export type { InitialChoice, InitialRecord, InitialWeights } from './initial-weights.js';
export { inspectCommand, type Inspected, type InspectOptions } from './inspect-command.js';
export { memoryFacts } from './memory-needs.js';
export { NamedOption } from './named-option.js';
export { forRanks, onRanks, requireSameRun } from './on-ranks.js';
export { openTrained, type Trained, type TrainedOptions, type TrainedParts } from './open-trained.js';
export { openTraining, type TrainingPlace, type TrainingRun } from './open-training.js';
export { locateVersion } from './package-root.js';
export type { TrainingPlan } from './plan-training.js';
export { createConfigResolver, type ConfigFlags, type ConfigResolver } from './resolve-config.js';
export { refuseOtherConfig, withDefaults } from './resumable-config.js';
export { newProgram, runCommandLine, type CommandLineStreams } from './run-command-line.js';
export { readRunRecord, refuseExistingRun, RUN_FILES, type RunRecord } from './run-directory.js';
export { alignedFacts, alignedTable, printable, progressLine, type Terminal } from './terminal.js';
export { wrapText } from './wrap-text.js';
export { readTokenRouting, tokenRoutingText, type InspectedText, type TokenRouting } from './token-routing.js';
export { addLookupCommands, addTrainingCommands, moreFlagsText, type TaskProgram } from './shared-commands.js';
export { trainCommand } from './train-command.js';
export { writeWeightsRun, type WeightsRun } from './weights-run.js';
export type { Finished, Task, TaskBatches, TaskConfig, TaskData, TaskModel } from './task.js';

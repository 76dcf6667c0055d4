// What programs that train share: command lines, configurations, run directories, text for the terminal. The entry
// @xmoe/program; reports and the start of a process are entries of their own.
export { checkData, DATA_FINGERPRINT, type DataAtHand } from './check-data.js';
export {
  backendOption, configOf, countFromOne, countOrAll, finite, readFlags, wholeNumber, withConfigOptions, type ConfigOptions,
} from './command-flags.js';
export { openDevice, openDeviceWithRoom, type BackendOpener, type Device } from './device.js';
export { cpuEngine } from './doctor.js';
export { EXIT_CODES, exitCodeOf, exitCodesText } from './exit-codes.js';
export { inspectCommand, type Inspected, type InspectOptions } from './inspect-command.js';
export { memoryHere, memoryOf, memoryOfMachine, memoryText, refuseTooLarge } from './memory-needs.js';
export { openTrained, type Trained, type TrainedOptions, type TrainedParts } from './open-trained.js';
export { openTraining, type TrainingPlace, type TrainingRun } from './open-training.js';
export { locateVersion } from './package-root.js';
export type { TrainingPlan } from './plan-training.js';
export { createConfigResolver, type ConfigFlags, type ConfigResolver } from './resolve-config.js';
export { refuseOtherConfig, withDefaults } from './resumable-config.js';
export { newProgram, runCommandLine, type CommandLineStreams } from './run-command-line.js';
export {
  checkTokenizer, readRunRecord, RUN_FILES, type RunRecord,
} from './run-directory.js';
export { errorText, facts, printable, progressLine, textOnly, wrap, type Terminal } from './terminal.js';
export { readTokenRouting, tokenRoutingText, type InspectedText, type TokenRouting } from './token-routing.js';
export { inspectHtml } from './token-routing-html.js';
export { addLookupCommands, addTrainingCommands, moreFlagsText, type TaskProgram } from './shared-commands.js';
export type { Finished, Task, TaskBatches, TaskConfig, TaskData, TaskModel } from './task.js';

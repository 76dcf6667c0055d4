// What programs that train share: command lines, configurations, run directories, text for the terminal. The entry
// @xmoe/program; reports and the start of a process are entries of their own.
export { checkData, DATA_FINGERPRINT, type DataAtHand } from './check-data.js';
export {
  backendOption, configOf, countFromOne, countOrAll, finite, readFlags, wholeNumber, withConfigOptions, withTrainOptions,
  type ConfigOptions,
} from './command-flags.js';
export { closingOnError, openDevice, openDeviceWithRoom, type BackendOpener, type Device } from './device.js';
export { cpuEngine, doctorCommand } from './doctor.js';
export { EXIT_CODES, exitCodeOf, exitCodesText } from './exit-codes.js';
export { memoryHere, memoryOf, memoryOfMachine, memoryText, refuseTooLarge } from './memory-needs.js';
export { locateVersion } from './package-root.js';
export { noResult, planTraining, unfinishedText, type TrainingPlan, type TrainOptions } from './plan-training.js';
export { profileText } from './profile-text.js';
export { createConfigResolver, type ConfigFlags, type ConfigResolver } from './resolve-config.js';
export { refuseOtherConfig, withDefaults } from './resumable-config.js';
export { newProgram, runCommandLine, type CommandLineStreams } from './run-command-line.js';
export {
  beginOrResume, checkTokenizer, readRunRecord, recordChanges, refuseExistingRun, resumePath, RUN_FILES, withLockedRun,
  type RunRecord,
} from './run-directory.js';
export { errorText, facts, printable, progressLine, textOnly, wrap, type Terminal } from './terminal.js';
export { readTokenRouting, tokenRoutingText, type InspectedText, type TokenRouting } from './token-routing.js';
export { inspectHtml } from './token-routing-html.js';

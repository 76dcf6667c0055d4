// What programs that train share: command lines, configurations, run directories, text for the terminal. The entry
// @xmoe/train/program; the rest of the package does not need it.
export { checkData, DATA_FINGERPRINT, type DataAtHand } from './check-data.js';
export {
  backendOption, configOf, countFromOne, finite, readFlags, wholeNumber, withConfigOptions, withTrainOptions,
  type ConfigOptions,
} from './command-flags.js';
export { openDevice, type BackendOpener, type Device } from './device.js';
export { cpuEngine, doctorCommand } from './doctor.js';
export {
  activeExpertWeights, droplessExperts, expertSettings, expertsProblem, expertsSchema, layerRoutingOf, ROUTER_NAMES,
  type ExpertsConfig,
} from './expert-config.js';
export { locateVersion, packageRoot } from './package-root.js';
export { planTraining, unfinishedText, type TrainingPlan, type TrainOptions } from './plan-training.js';
export { profileText } from './profile-text.js';
export { createConfigResolver, type ConfigFlags, type ConfigResolver } from './resolve-config.js';
export { refuseOtherConfig } from './resumable-config.js';
export { newProgram, runCommandLine } from './run-command-line.js';
export {
  beginOrResume, checkTokenizer, loadRunCheckpoint, readRunRecord, refuseExistingRun, RUN_FILES, withLockedRun,
  type CheckpointChoice, type RunRecord,
} from './run-directory.js';
export { errorText, facts, printable, progressLine, wrap, type Terminal } from './terminal.js';
export { readTokenRouting, tokenRoutingText, type InspectedText, type TokenRouting } from './token-routing.js';
export { inspectHtml } from './token-routing-html.js';
export { optimizerOf, scheduleOf, trainingShape } from './training-config.js';

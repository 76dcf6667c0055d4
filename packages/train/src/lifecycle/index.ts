// Public exports of the lifecycle folder: how a run is asked to stop.
export { createStopSignal, STOP_EXIT_CODES, type StopReason, type StopSignal, type StopSignalOptions } from './stop-signal.js';

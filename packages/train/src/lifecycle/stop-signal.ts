// Turns the signals that ask a process to end into a flag that a training loop reads between steps. Not a saver: the loop
// saves, then exits.

/**
 * The signals that ask a run to stop, and the exit code a shell expects of each (128 + its number). SIGHUP comes when the
 * terminal goes away; SIGUSR1 and SIGUSR2 are what batch systems send some time before they kill.
 */
export const STOP_EXIT_CODES = { SIGHUP: 129, SIGINT: 130, SIGQUIT: 131, SIGUSR1: 138, SIGUSR2: 140, SIGTERM: 143 } as const;
export type StopReason = keyof typeof STOP_EXIT_CODES;

/** Those that are sent in haste. The others are warnings, which come along with these: they never cut a save short. */
const INSISTENT: ReadonlySet<StopReason> = new Set<StopReason>(['SIGINT', 'SIGQUIT', 'SIGTERM']);

export interface StopSignal {
  /** Whether a signal has come. */
  readonly requested: boolean;
  /** Which signal came first. */
  readonly reason: StopReason | undefined;
  /** The exit code that belongs to the first signal; 0 when none came. */
  readonly exitCode: number;
  /** Aborts with the first signal: pass it to whatever waits. */
  readonly abortSignal: AbortSignal;
  /** Removes the handlers; the signals then do again what they did before. */
  dispose(): void;
}

export interface StopSignalOptions {
  /** Called once, with the first signal: a place to tell the user that the run saves and stops. */
  readonly onStop?: (reason: StopReason) => void;
  /** What a second one of SIGINT, SIGQUIT and SIGTERM calls with its code. Default `process.exit`. */
  readonly exit?: (code: number) => void;
}

/** Starts listening. The first signal sets the flag; the second one of SIGINT, SIGQUIT and SIGTERM quits at once. */
export function createStopSignal({ onStop, exit = (code) => process.exit(code) }: StopSignalOptions = {}): StopSignal {
  const controller = new AbortController();
  let reason: StopReason | undefined;
  let insisted = false;
  const handle = (signal: StopReason) => {
    if (INSISTENT.has(signal)) {
      if (insisted) return exit(STOP_EXIT_CODES[signal]);
      insisted = true;
    }
    if (reason !== undefined) return;
    reason = signal;
    controller.abort(signal);
    onStop?.(signal);
  };
  const signals = Object.keys(STOP_EXIT_CODES) as StopReason[];
  for (const signal of signals) process.on(signal, handle);
  return {
    get requested() {
      return reason !== undefined;
    },
    get reason() {
      return reason;
    },
    get exitCode() {
      return reason === undefined ? 0 : STOP_EXIT_CODES[reason];
    },
    abortSignal: controller.signal,
    dispose() {
      for (const signal of signals) process.off(signal, handle);
    },
  };
}

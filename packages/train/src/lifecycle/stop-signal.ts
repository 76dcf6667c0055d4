// Turns SIGINT and SIGTERM into a flag that a training loop reads between steps. Not a saver: the loop saves, then exits.

/** The signals that ask a run to stop, and the exit code a shell expects of each (128 + its number). */
export const STOP_EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;
export type StopReason = keyof typeof STOP_EXIT_CODES;

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
  onStop?: (reason: StopReason) => void;
  /** What a second signal calls with 130 or 143. Default `process.exit`. */
  exit?: (code: number) => void;
}

/** Starts listening. The first SIGINT or SIGTERM sets the flag; a second one quits at once with 130 or 143. */
export function createStopSignal({ onStop, exit = (code) => process.exit(code) }: StopSignalOptions = {}): StopSignal {
  const controller = new AbortController();
  let reason: StopReason | undefined;
  const handle = (signal: StopReason) => {
    if (reason !== undefined) return exit(STOP_EXIT_CODES[signal]);
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

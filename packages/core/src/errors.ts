// The one error type of xmoe and the helper that suggests a near name. Not a logger.

/** What kind of mistake an {@link XMoEError} reports. */
export type ErrorCode =
  | 'shape'
  | 'dtype'
  | 'value'
  | 'disposed'
  | 'autodiff'
  | 'scope'
  | 'backend'
  | 'memory'
  | 'numerics'
  | 'config'
  | 'data'
  | 'checkpoint'
  | 'io'
  | 'busy'
  | 'interrupted';

export interface ErrorDetails {
  /** What to do about it, in one sentence. */
  hint?: string;
  /** The operation or subsystem that refused, e.g. `matmul`. */
  op?: string;
  cause?: unknown;
}

/**
 * Every error xmoe raises on purpose. `message` is one line that names the thing, `hint` says what to do.
 * Check with {@link isXMoEError}, which also recognises errors of a second copy of this package.
 */
export class XMoEError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly op: string | undefined;
  /** Survives duplicate copies of the package, where `instanceof` does not. */
  readonly isXMoEError = true;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    const named = details.op ? `${details.op}: ${message}` : message;
    super(escapeControls(named, code), details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'XMoEError';
    this.code = code;
    this.hint = details.hint && escapeControls(details.hint, code);
    this.op = details.op;
  }
}

/** These quote what is in files: a line feed in them is none of ours. */
const QUOTES_FILES: ReadonlySet<ErrorCode> = new Set(['config', 'data', 'checkpoint']);

/** Control characters by their numbers: what a message quotes must not move a terminal's cursor or end its line. */
function escapeControls(text: string, code: ErrorCode): string {
  const controls = QUOTES_FILES.has(code) ? /[\p{Cc}\u2028\u2029]/gu : /(?!\n)\p{Cc}/gu;
  return text.replace(controls, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Whether `error` is an {@link XMoEError}, of this or of another copy of the package. */
export function isXMoEError(error: unknown): error is XMoEError {
  return error instanceof Error && (error as { isXMoEError?: unknown }).isXMoEError === true;
}

/** No name of ours is nearly as long; looking costs its length times that of all candidates. */
const LONGEST_NAME = 200;

/** The candidate with the smallest edit distance to `name`, or undefined when none is near. */
export function nearestName(name: string, candidates: readonly string[]): string | undefined {
  if (name.length > LONGEST_NAME) return undefined;
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.ceil(name.length / 2));
  for (const candidate of candidates) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Letters to insert, leave out, replace or exchange with their neighbour (Damerau 1964, each pair exchanged once). */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      const exchanged = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? before[j - 2]! + 1 : Infinity;
      current.push(Math.min(previous[j]! + 1, current[j - 1]! + 1, substitution, exchanged));
    }
    [before, previous] = [previous, current];
  }
  return previous[b.length]!;
}

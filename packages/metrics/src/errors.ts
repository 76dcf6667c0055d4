// The error this package raises: the same shape as the error of the other xmoe packages, without depending on them.

/** A mistake in the arguments: `message` names the thing, `hint` says what to do. */
export class MetricsError extends Error {
  readonly code = 'value';
  readonly hint: string | undefined;
  readonly op: string | undefined;
  /** What `isXMoEError` of @xmoe/core looks for. */
  readonly isXMoEError = true;

  constructor(message: string, { hint, op }: { hint?: string; op?: string } = {}) {
    super(op === undefined ? message : `${op}: ${message}`);
    this.name = 'MetricsError';
    this.hint = hint;
    this.op = op;
  }
}

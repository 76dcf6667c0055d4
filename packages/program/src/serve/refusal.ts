// What a server answers instead of a result: a status, and an error in the form that OpenAI's clients read.
import { isXMoEError, type ErrorCode } from '@xmoe/core';

/** An answer that is no result. */
export class Refusal extends Error {
  constructor(readonly status: number, message: string, readonly details: { readonly code?: string; readonly headers?: Readonly<Record<string, string>> } = {}) {
    super(message);
    this.name = 'Refusal';
  }
}

const STATUSES: Readonly<Partial<Record<ErrorCode, number>>> = { config: 400, value: 400, data: 400, busy: 503, memory: 503 };

/** The answer to an error of a handler. Faults of the program say nothing of its inside. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (!isXMoEError(error)) return new Refusal(500, 'an unexpected error, which is a fault of the server');
  const status = STATUSES[error.code] ?? 500;
  return new Refusal(status, error.hint ? `${error.message} (${error.hint})` : error.message, status === 503 ? { headers: { 'Retry-After': '1' } } : {});
}

/** `{ error: … }`, as OpenAI's clients read it. */
export function errorBody({ status, message, details }: Refusal): { error: { message: string; type: string; param: null; code: string | null } } {
  return { error: { message, type: status < 500 ? 'invalid_request_error' : 'server_error', param: null, code: details.code ?? null } };
}

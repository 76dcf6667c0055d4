// How figures are set in relation wherever there may be nothing to divide by.

/** part / whole; 0 where the whole is 0: no token, no claim. */
export function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}

// Terms whose sum depends on the order: sizes from 2^-15 to 2^15, by a generator of whole numbers. Not random numbers of the project.

/** Term `term` of a sum: the same on every rank. */
export function termOf(term: number, length: number): Float32Array {
  let state = term + 1;
  const next = (): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return state / 0x7fffffff;
  };
  return Float32Array.from({ length }, () => (next() - 0.5) * 2 ** Math.floor(next() * 30 - 15));
}

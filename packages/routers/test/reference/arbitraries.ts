// Random routing problems for property tests. Not a test.
import fc from 'fast-check';

export interface Problem {
  readonly T: number;
  readonly N: number;
  readonly logits: number[][];
  readonly mask: boolean[];
}

/** Logits [T, N] with a mask. Small integers and halves are frequent, so that ties are too. */
export function problems(limits: { T?: number; N?: number } = {}): fc.Arbitrary<Problem> {
  const size = fc.record({ T: fc.integer({ min: 1, max: limits.T ?? 24 }), N: fc.integer({ min: 1, max: limits.N ?? 9 }) });
  const logit = fc.oneof(
    fc.integer({ min: -2, max: 2 }),
    fc.integer({ min: -8, max: 8 }).map((value) => value / 2),
    fc.float({ min: -20, max: 20, noNaN: true }),
    fc.constantFrom(-300, 300),
  );
  const row = (N: number): fc.Arbitrary<number[]> => fc.array(logit, { minLength: N, maxLength: N });
  return size.chain(({ T, N }) =>
    fc.record({
      T: fc.constant(T),
      N: fc.constant(N),
      logits: fc.array(row(N), { minLength: T, maxLength: T }),
      mask: fc.array(fc.boolean(), { minLength: T, maxLength: T }),
    }),
  );
}

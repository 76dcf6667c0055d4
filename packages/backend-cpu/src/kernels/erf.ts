// The error function to double precision. Rational Chebyshev approximations of W. J. Cody, "Rational Chebyshev
// approximations for the error function", Mathematics of Computation 23 (1969): the tables are his coefficients.

const INV_SQRT_PI = 0.5641895835477563;

const CENTER_P = [0.185777706184603153, 3.1611237438705656, 113.864154151050156, 377.485237685302021, 3209.37758913846947] as const;
const CENTER_Q = [1, 23.6012909523441209, 244.024637934444173, 1282.61652607737228, 2844.23683343917062] as const;

const MIDDLE_P = [
  2.15311535474403846e-8, 0.564188496988670089, 8.88314979438837594, 66.1191906371416295, 298.635138197400131,
  881.95222124176909, 1712.04761263407058, 2051.07837782607147, 1230.33935479799725,
] as const;
const MIDDLE_Q = [
  1, 15.7449261107098347, 117.693950891312499, 537.181101862009858, 1621.38957456669019,
  3290.79923573345963, 4362.61909014324716, 3439.36767414372164, 1230.33935480374942,
] as const;

const TAIL_P = [
  0.0163153871373020978, 0.305326634961232344, 0.360344899949804439, 0.125781726111229246, 0.0160837851487422766,
  6.58749161529837803e-4,
] as const;
const TAIL_Q = [
  1, 2.56852019228982242, 1.87295284992346725, 0.527905102951428412, 0.0605183413124413191, 2.33520497626869185e-3,
] as const;

function polynomial(coefficients: readonly number[], x: number): number {
  let value = coefficients[0];
  for (let i = 1; i < coefficients.length; i++) value = value * x + coefficients[i];
  return value;
}

/** erf(x), absolute error below 1e-15. */
export function erf(x: number): number {
  const size = Math.abs(x);
  const square = x * x;
  if (size <= 0.46875) return (x * polynomial(CENTER_P, square)) / polynomial(CENTER_Q, square);
  if (!(size < 6)) return size >= 6 ? Math.sign(x) : NaN; // erfc(6) is below 2^-53
  let complement: number;
  if (size <= 4) {
    complement = polynomial(MIDDLE_P, size) / polynomial(MIDDLE_Q, size);
  } else {
    const inverse = 1 / square;
    complement = (INV_SQRT_PI - (inverse * polynomial(TAIL_P, inverse)) / polynomial(TAIL_Q, inverse)) / size;
  }
  return Math.sign(x) * (1 - Math.exp(-square) * complement);
}

// The error function, to double precision and, quicker, as far as results in single precision can tell.

// Rational Chebyshev approximations of W. J. Cody, "Rational Chebyshev approximations for the error function", Mathematics of Computation
// 23 (1969): the tables are his coefficients.

const INV_SQRT_PI = 0.5641895835477563;

/** erf(x) / x on [0, 0.46875], of x². */
function center(s: number): number {
  const p = (((0.185777706184603153 * s + 3.1611237438705656) * s + 113.864154151050156) * s + 377.485237685302021) * s + 3209.37758913846947;
  const q = (((s + 23.6012909523441209) * s + 244.024637934444173) * s + 1282.61652607737228) * s + 2844.23683343917062;
  return p / q;
}

/** exp(x²)·erfc(x) on [0.46875, 4]. */
function middle(x: number): number {
  let p = ((2.15311535474403846e-8 * x + 0.564188496988670089) * x + 8.88314979438837594) * x + 66.1191906371416295;
  p = (((p * x + 298.635138197400131) * x + 881.95222124176909) * x + 1712.04761263407058) * x + 2051.07837782607147;
  let q = ((x + 15.7449261107098347) * x + 117.693950891312499) * x + 537.181101862009858;
  q = (((q * x + 1621.38957456669019) * x + 3290.79923573345963) * x + 4362.61909014324716) * x + 3439.36767414372164;
  return (p * x + 1230.33935479799725) / (q * x + 1230.33935480374942);
}

/** What is missing from 1/√π in x·exp(x²)·erfc(x) beyond 4, over 1/x²; of 1/x². */
function tail(s: number): number {
  let p = (0.0163153871373020978 * s + 0.305326634961232344) * s + 0.360344899949804439;
  p = ((p * s + 0.125781726111229246) * s + 0.0160837851487422766) * s + 6.58749161529837803e-4;
  let q = (s + 2.56852019228982242) * s + 1.87295284992346725;
  q = ((q * s + 0.527905102951428412) * s + 0.0605183413124413191) * s + 2.33520497626869185e-3;
  return p / q;
}

/** erf(x), absolute error below 1e-15. */
export function erf(x: number): number {
  const size = Math.abs(x);
  const square = x * x;
  if (size <= 0.46875) return x * center(square);
  if (!(size < 6)) return size >= 6 ? Math.sign(x) : NaN; // erfc(6) is below 2^-53
  const scaled = size <= 4 ? middle(size) : (INV_SQRT_PI - tail(1 / square) / square) / size;
  const value = 1 - Math.exp(-square) * scaled;
  return x < 0 ? -value : value;
}

// Chebyshev interpolation of the Taylor series and of the continued fraction, written out.

/** erf(x) / x on [0, 1], of x². */
function near(s: number): number {
  const high = (((1.05893242053e-6 * s - 1.39093177272e-5) * s + 1.1956559028e-4) * s - 8.54263770926e-4) * s + 5.22378346457e-3;
  return (((high * s - 0.0268661332322) * s + 0.112837913086) * s - 0.376126388896) * s + 1.12837916709;
}

/** exp(x²)·erfc(x) on [1, 6]. */
function far(x: number): number {
  const t = 2 / (2 + x);
  const high = (((-0.0862863556998 * t + 0.401314239251) * t - 0.703047809891) * t + 0.503210031543) * t - 0.172241473571;
  return ((((high * t + 0.263129729588) * t + 0.227015788121) * t + 0.285025119276) * t + 0.281840668241) * t + 9.82536956551e-6;
}

/** erf(x), absolute error below 1e-11: for results in float32. */
export function erfSingle(x: number): number {
  const size = Math.abs(x);
  if (size <= 1) return x * near(x * x);
  if (!(size < 6)) return size >= 6 ? Math.sign(x) : NaN;
  const value = 1 - Math.exp(-x * x) * far(size);
  return x < 0 ? -value : value;
}

/** The share of a normal distribution below x, 0.5·(1 + erf(x/√2)), relative error below 1e-9 down to x = −8: for results in float32. */
export function normalSingle(x: number): number {
  const z = x * Math.SQRT1_2;
  const size = Math.abs(z);
  if (size <= 1) return 0.5 + 0.5 * z * near(z * z);
  if (!(size < 6)) return size >= 6 ? (x > 0 ? 1 : 0) : NaN;
  const beyond = 0.5 * Math.exp(-z * z) * far(size);
  return x < 0 ? beyond : 1 - beyond;
}

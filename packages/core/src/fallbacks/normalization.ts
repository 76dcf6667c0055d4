// Fallbacks of layer normalisation and its gradient.
import type { KernelAttributes, KernelInputs, KernelOutputs } from '../contract.js';
import { reshape, type Scratch } from './scratch.js';

export function layerNorm(
  scratch: Scratch,
  { x, gamma, beta }: KernelInputs<'layerNorm'>,
  { out, mean, rstd }: KernelOutputs<'layerNorm'>,
  { epsilon }: KernelAttributes<'layerNorm'>,
): void {
  const [rows, width] = x.shape as [number, number];
  const values = scratch.cast(x, 'float32');
  // Measured from the first number of the row: far from 0 the mean itself has too few digits.
  const origin = scratch.empty([rows, 1]);
  scratch.kernels.slice({ x: values }, { out: origin }, { begin: [0, 0] });
  const distance = scratch.binary('subtract', values, origin);
  const shift = scratch.binary('divide', scratch.reduce('sum', distance, 1), width);
  scratch.binary('add', reshape(origin, [rows]), reshape(shift, [rows]), mean);
  const centred = scratch.binary('subtract', distance, shift);
  const sumOfSquares = scratch.reduce('sum', scratch.unary('square', centred), 1);
  const variance = scratch.binary('divide', sumOfSquares, width);
  scratch.unary('rsqrt', reshape(scratch.binary('add', variance, epsilon), [rows]), rstd);
  const normal = scratch.binary('multiply', centred, reshape(rstd, [rows, 1]));
  const scaled = scratch.binary('multiply', normal, reshape(gamma, [1, width]));
  scratch.copy(scratch.binary('add', scaled, reshape(beta, [1, width])), out);
}

export function layerNormGrad(
  scratch: Scratch,
  { x, gamma, mean, rstd, dy }: KernelInputs<'layerNormGrad'>,
  { dx, dgamma, dbeta }: KernelOutputs<'layerNormGrad'>,
): void {
  const [rows, width] = x.shape as [number, number];
  const rough = scratch.binary('subtract', scratch.cast(x, 'float32'), reshape(mean, [rows, 1]));
  // The mean is rounded: far from 0 by much of a deviation.
  const centred = scratch.binary('subtract', rough, scratch.binary('divide', scratch.reduce('sum', rough, 1), width));
  const normal = scratch.binary('multiply', centred, reshape(rstd, [rows, 1]));
  const upstream = scratch.cast(dy, 'float32');
  scratch.reduce('sum', scratch.binary('multiply', upstream, normal), 0, dgamma);
  scratch.reduce('sum', upstream, 0, dbeta);
  // dx = rstd · (g − mean(g) − n · mean(g·n)), g = dy·gamma, n the normalised row.
  const g = scratch.binary('multiply', upstream, reshape(gamma, [1, width]));
  const meanG = scratch.binary('divide', scratch.reduce('sum', g, 1), width);
  const meanGN = scratch.binary('divide', scratch.reduce('sum', scratch.binary('multiply', g, normal), 1), width);
  const projected = scratch.binary('subtract', g, meanG);
  const orthogonal = scratch.binary('subtract', projected, scratch.binary('multiply', normal, meanGN));
  scratch.copy(scratch.binary('multiply', orthogonal, reshape(rstd, [rows, 1])), dx);
}

// The products that a new device is measured with before anything is known about the models that it will run: their neighbours in size
// share what is found. What models really ask for is measured on request.
import type { DeviceTraits } from '../device/traits.js';
import type { ProductShape } from '../kernels/tiles/tilings.js';

/** In order of importance: the time may not suffice for all. Small on a software adapter, where this is only ever a test. */
export function startShapes({ software, float16 }: DeviceTraits): ProductShape[] {
  const size = software ? 64 : 1024;
  const dtypes = float16 ? [false, true] : [false];
  const shapes = (half: boolean): ProductShape[] => [
    { kind: 'matmul', half, layout: 'oi', M: 2 * size, N: size, K: size, count: 1 },
    { kind: 'linear', half, layout: 'oi', M: size / 2, N: size, K: size, count: 8 },
    { kind: 'matmul', half, layout: 'oo', M: 2 * size, N: size, K: size, count: 1 },
    { kind: 'matmul', half, layout: 'io', M: size, N: size, K: size, count: 1 },
    { kind: 'matmul', half, layout: 'ii', M: size, N: size, K: 2 * size, count: 1 },
    { kind: 'linear', half, layout: 'oo', M: size / 2, N: size, K: size, count: 8 },
    { kind: 'weight-grad', half, layout: 'ii', M: size, N: size, K: size / 2, count: 8 },
    { kind: 'matmul', half, layout: 'oi', M: size / 4, N: size / 4, K: size / 2, count: 1 },
    { kind: 'matmul', half, layout: 'oi', M: 1, N: size, K: size, count: 1 },
  ];
  return dtypes.flatMap(shapes);
}

// The ranges of numbers in configurations: wide enough for any model that can be built, narrow enough that nothing is
// computed from nonsense. What fits into the memory of a machine is memory-needs.ts.
import { z } from 'zod';

/** A whole number from `least` to `most`. */
export const whole = (least: number, most: number) => z.int().min(least).max(most);

/** A number of things that are counted in a run: steps, windows, pairs, tokens. */
export const count = whole(1, 1e9);
export const countFromZero = whole(0, 1e9);

/** Of a layer: rows and columns of its matrices. */
export const layerSize = whole(1, 2 ** 20);
export const modelWidth = whole(1, 65_536);
export const layerCount = whole(1, 1000);
export const expertCount = whole(1, 65_536);
export const batchCount = whole(1, 2 ** 20);

/** What float32 can hold. */
const LARGEST_FLOAT = 3.4e38;
export const positiveFloat = z.number().positive().max(LARGEST_FLOAT);
export const floatFromZero = z.number().min(0).max(LARGEST_FLOAT);
export const share = z.number().min(0).max(1);

// Kernels of random numbers: random, dropout. Two blocks of Threefry give four elements.
import { sizeOf, type Kernels } from '@xmoe/core';
import { reads } from '../runtime/program.js';
import type { Runtime } from '../runtime/runtime.js';
import { dropBits, RANDOM_BITS_WGSL } from './math-wgsl.js';
import { flat, runStrided, storageType } from './strided.js';

/** The two words of a key, from a buffer. */
const KEY = 'vec2u(key[0], key[1])';
/** Random bits of the elements at … at + 3, for multiples of 4. */
const FOUR_BITS = `${RANDOM_BITS_WGSL}
fn fourBits(key: vec2u, stream: u32, at: vec2u) -> vec4u {
  return vec4u(randomPair(key, stream, at), randomPair(key, stream, vec2u(at.x + 2u, at.y)));
}`;
/** WGSL of the whole index of the first of four elements. */
const AT = 'vec2u(at, atBeyond)';

export function randomKernels(runtime: Runtime) {
  return {
    random({ key }, { out }, { stream }) {
      runStrided(runtime, {
        name: 'random',
        inputs: {},
        out: flat(out),
        shape: [sizeOf(out.shape)],
        args: { stream: { type: 'u32', value: stream } },
        tables: { key: { spec: reads('uint32'), operand: key } },
        indexed: true,
        body: () => ({ head: FOUR_BITS, value: `vec4f(fourBits(${KEY}, args.stream, ${AT})) * ${2 ** -24}` }),
      });
    },
    dropout({ x, key }, { out }, { rate, stream }) {
      runStrided(runtime, {
        name: `dropout ${x.dtype}`,
        inputs: { x: flat(x) },
        out: flat(out),
        shape: [sizeOf(out.shape)],
        args: {
          stream: { type: 'u32', value: stream },
          drop: { type: 'u32', value: dropBits(rate) },
          keep: { type: 'f32', value: 1 - rate },
        },
        tables: { key: { spec: reads('uint32'), operand: key } },
        indexed: true,
        body: (types) => ({
          head: FOUR_BITS,
          value: `${storageType(out.dtype, types)}(select(vec4f(x_value) / args.keep, vec4f(0), fourBits(${KEY}, args.stream, ${AT}) < vec4u(args.drop)))`,
        }),
      });
    },
  } satisfies Partial<Kernels>;
}

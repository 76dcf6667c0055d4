// Which parts of WebAssembly this process accepts, found by validating modules of a few bytes. Not what the engine then uses:
// that is in its description.

/** The part of the WebAssembly interface that is used here: Node's types do not declare it. */
interface Validator {
  validate(bytes: Uint8Array): boolean;
}

const webAssembly = (globalThis as { WebAssembly?: Validator }).WebAssembly;

const HEADER = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];

/** A module with one function () → v128 of these instructions. Bodies shorter than 100 bytes. */
function vectorFunction(...instructions: readonly number[]): number[] {
  const body = [0x00, ...instructions, 0x0b]; // no locals … end
  return [
    0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7b, // type () → v128
    0x03, 0x02, 0x01, 0x00, // function 0 has it
    0x0a, body.length + 2, 0x01, body.length, ...body,
  ];
}

/** i32.const 0, i8x16.splat. */
const ZEROS = [0x41, 0x00, 0xfd, 0x0f];

const PROBES = {
  SIMD: vectorFunction(...ZEROS),
  // A shared memory of one page.
  threads: [0x05, 0x04, 0x01, 0x03, 0x01, 0x01],
  // f32x4.relaxed_madd
  'relaxed SIMD': vectorFunction(...ZEROS, ...ZEROS, ...ZEROS, 0xfd, 0x85, 0x02),
} as const;

/** Each feature and whether it is accepted now: Node 20 has relaxed SIMD only once the engine has switched it on. */
export function wasmFeatures(): [name: string, accepted: boolean][] {
  return Object.entries(PROBES).map(([name, sections]) => [name, webAssembly?.validate(new Uint8Array([...HEADER, ...sections])) === true]);
}

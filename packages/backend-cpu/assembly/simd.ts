// What all kernels share: fused multiply-add where the variant has it, and horizontal sums. No memory access.

/** a·b + c. One rounding in the relaxed variant where the machine has it, two in the simd variant. */
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

/** The 32-bit number `index` of a table (memory.data) in all lanes. See math.ts for why it is not a constant. */
@inline
export function spread(table: usize, index: i32): v128 {
  return v128.load32_splat(table + (<usize>index << 2));
}

/** The sum of the four lanes: (0 + 2) + (1 + 3). */
@inline
export function sumLanes(x: v128): f32 {
  const pairs = f32x4.add(x, i32x4.shuffle(x, x, 2, 3, 0, 1));
  return f32x4.extract_lane(pairs, 0) + f32x4.extract_lane(pairs, 1);
}

// placeholder
export function gemmProbe(begin: i32, end: i32, a: usize): void {
  for (let i = begin; i < end; i++) store<f32>(a + ((<usize>i) << 2), 1);
}

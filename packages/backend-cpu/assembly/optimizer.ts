// adamStep: decoupled weight decay, Loshchilov and Hutter 2019 (Algorithm 2), in place. Items are elements.
import { loadTail, storeTail } from './lanes';
import { madd } from './simd';

/** hyper: see the contract. `decays` 0 leaves the weight decay out. */
export function adamStep(begin: i32, end: i32, parameter: usize, gradient: usize, m: usize, v: usize, hyper: usize, decays: i32): void {
  const scale = load<f32>(hyper, 28);
  if (scale == 0) return;
  const rate = load<f32>(hyper);
  const beta1 = v128.load32_splat(hyper, 4);
  const beta2 = v128.load32_splat(hyper, 8);
  const rest1 = f32x4.splat(load<f32>(hyper, 32) * scale);
  const rest2 = v128.load32_splat(hyper, 36);
  const scales = f32x4.splat(scale);
  const epsilon = v128.load32_splat(hyper, 12);
  const decay = f32x4.splat(decays != 0 ? load<f32>(hyper, 16) : 0);
  const descent = f32x4.splat(-rate);
  const correction1 = f32x4.splat(<f32>1 / load<f32>(hyper, 20));
  const correction2 = f32x4.splat(<f32>1 / load<f32>(hyper, 24));
  const zero = f32x4.splat(0);
  let at = begin << 2;
  const whole = (begin + ((end - begin) & ~3)) << 2;
  for (; at < whole; at += 16) {
    const raw = v128.load(gradient + at);
    const g = f32x4.mul(raw, scales);
    const first = madd(beta1, v128.load(m + at), f32x4.mul(rest1, raw));
    const second = madd(beta2, v128.load(v + at), f32x4.mul(f32x4.mul(rest2, g), g));
    const update = f32x4.div(f32x4.mul(first, correction1), f32x4.add(f32x4.sqrt(f32x4.mul(second, correction2)), epsilon));
    v128.store(m + at, first);
    v128.store(v + at, second);
    const p = v128.load(parameter + at);
    v128.store(parameter + at, madd(descent, madd(decay, p, update), p));
  }
  const left = end - (at >> 2);
  if (left <= 0) return;
  const raw = loadTail(gradient + at, left, zero);
  const g = f32x4.mul(raw, scales);
  const first = madd(beta1, loadTail(m + at, left, zero), f32x4.mul(rest1, raw));
  const second = madd(beta2, loadTail(v + at, left, zero), f32x4.mul(f32x4.mul(rest2, g), g));
  const update = f32x4.div(f32x4.mul(first, correction1), f32x4.add(f32x4.sqrt(f32x4.mul(second, correction2)), epsilon));
  storeTail(m + at, left, first);
  storeTail(v + at, left, second);
  const p = loadTail(parameter + at, left, zero);
  storeTail(parameter + at, left, madd(descent, madd(decay, p, update), p));
}

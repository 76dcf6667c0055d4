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
  for (; at + 32 <= whole; at += 32) {
    const raw0 = v128.load(gradient + at), raw1 = v128.load(gradient + at, 16);
    const g0 = f32x4.mul(raw0, scales), g1 = f32x4.mul(raw1, scales);
    const first0 = madd(beta1, v128.load(m + at), f32x4.mul(rest1, raw0)), first1 = madd(beta1, v128.load(m + at, 16), f32x4.mul(rest1, raw1));
    const second0 = madd(beta2, v128.load(v + at), f32x4.mul(f32x4.mul(rest2, g0), g0)), second1 = madd(beta2, v128.load(v + at, 16), f32x4.mul(f32x4.mul(rest2, g1), g1));
    const size0 = f32x4.add(f32x4.sqrt(f32x4.mul(second0, correction2)), epsilon), size1 = f32x4.add(f32x4.sqrt(f32x4.mul(second1, correction2)), epsilon);
    const update0 = f32x4.div(f32x4.mul(first0, correction1), size0), update1 = f32x4.div(f32x4.mul(first1, correction1), size1);
    v128.store(m + at, first0);
    v128.store(m + at, first1, 16);
    v128.store(v + at, second0);
    v128.store(v + at, second1, 16);
    const p0 = v128.load(parameter + at), p1 = v128.load(parameter + at, 16);
    const next0 = madd(descent, madd(decay, p0, update0), p0), next1 = madd(descent, madd(decay, p1, update1), p1);
    v128.store(parameter + at, next0);
    v128.store(parameter + at, next1, 16);
  }
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

// Numbers that both sides of a comparison can make by themselves, so that results can be compared without sending tensors.
// Not random: a fixed sequence without structure that would matter here.
import { XMoEError } from '@xmoe/core';

/** `size` values in (−scale/2, scale/2); the same as `formula` of moe_torch.py. */
export function formulaValues(size: number, seed: number, scale: number): Float32Array {
  const stride = 7919 + 2 * seed;
  return Float32Array.from({ length: size }, (_, index) => (((index * stride + 31 * seed) % 10007) / 10007 - 0.5) * scale);
}

/** What agrees up to the rounding of sums in float32. */
const TOLERANCE = 2e-3;

/** @throws XMoEError `backend` when a peer computed something else: its time would mean nothing */
export function requireAgreement(what: string, peer: string, ours: readonly number[], theirs: readonly number[], tolerance = TOLERANCE): void {
  const wrong = ours.findIndex((value, index) => !(Math.abs(value - theirs[index]) <= tolerance * Math.max(1, Math.abs(value))));
  if (wrong < 0 && ours.length === theirs.length) return;
  throw new XMoEError('backend', `${what}: ${peer} computes ${theirs.join(', ')} where we have ${ours.join(', ')}`, {
    op: 'bench', hint: 'the two sides do different work, so do not compare their times; is the peer another version than the one that the script installs?',
  });
}

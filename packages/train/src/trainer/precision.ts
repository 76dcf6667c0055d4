// Which precisions a backend computes in.
import { XMoEError, type Backend, type FloatDType } from '@xmoe/core';

/** @throws XMoEError `backend` when the backend cannot compute in `precision` */
export function requirePrecision({ name, capabilities }: Pick<Backend, 'name' | 'capabilities'>, precision: FloatDType): void {
  if (precision === 'float32' || capabilities.float16) return;
  throw new XMoEError('backend', `${name} has no ${precision}`, { hint: 'train in float32 (--set train.precision=float32), or on a backend that has it (--backend cpu)' });
}

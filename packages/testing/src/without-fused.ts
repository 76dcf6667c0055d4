// A backend without its fused kernels, so that core's fallbacks run in their place. Not a backend of its own.
import { type Backend } from '@xmoe/core';
import { createFallbacks } from '@xmoe/core/backend';

/** `backend` without the fused kernels that `drop` names: all of them by default. */
export function withoutFused(backend: Backend, drop: (name: string) => boolean = () => true): Backend {
  const fused = Object.keys(createFallbacks(backend));
  const kept = Object.entries(backend.kernels).filter(([name]) => !(fused.includes(name) && drop(name)));
  return { ...backend, kernels: Object.fromEntries(kept) as unknown as Backend['kernels'] };
}

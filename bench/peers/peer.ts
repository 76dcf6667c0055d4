// What the benchmark wants of another library. How each one does it is in jax.ts, tfjs.ts and torch.ts.
import type { FloatDType } from '@xmoe/core';
import type { Contestant } from '../measure.js';
import type { GemmShape } from '../shapes.js';

/** One product, prepared: its operands are made and it has run once. */
export interface PreparedGemm {
  readonly contestant: Contestant;
  /** The last element of the product of the operands of formula.ts, seeds 1 and 2. */
  readonly value: number;
  dispose(): Promise<void>;
}

export interface GemmPeer {
  readonly name: string;
  /** Version and threads, for the header. */
  readonly description: string;
  /** dtype: float32 unless the peer has others. */
  prepareGemm(shape: GemmShape, dtype?: FloatDType): Promise<PreparedGemm>;
}

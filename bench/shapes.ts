// Which sizes are measured: full ones, smaller ones for slow backends, and tiny ones that only show
// that it runs. Which of them a backend gets is decided in scale.ts.

export type Scale = 'full' | 'reduced' | 'quick';

export interface GemmShape {
  readonly label: string;
  readonly M: number;
  readonly K: number;
  readonly N: number;
  readonly transposeB: boolean;
}

export const productShape = (M: number, K: number, N: number, transposeB = false, what = ''): GemmShape => ({
  label: `${M}×${K}×${N}${transposeB ? 'ᵀ' : ''}${what && ` (${what})`}`, M, K, N, transposeB,
});

/** M×K×N. The vocabulary projection is one chunk as cross-entropy cuts it: 2²³ logits at 1,024 rows. */
export const gemmShapes = (quick: boolean): readonly GemmShape[] =>
  quick
    ? [productShape(32, 24, 48), productShape(16, 24, 12), productShape(32, 16, 64, true, 'vocabulary chunk')]
    : [productShape(1024, 768, 3072), productShape(128, 768, 384), productShape(2048, 256, 1024), productShape(1024, 768, 8192, true, 'vocabulary chunk')];

export interface ExpertSplit {
  /** N */
  readonly experts: number;
  /** s */
  readonly hidden: number;
  /** γ */
  readonly capacityFactor: number;
}

export interface MoeShape {
  readonly tokens: number;
  readonly width: number;
  /** γ·s: the hidden size of the dense layer of equal FLOPs. */
  readonly denseHidden: number;
  /** From coarse to fine; N·s and γ·s are constant. */
  readonly splits: readonly ExpertSplit[];
}

/** N experts of size s split 1, 2, 4 and 8-fold from 8 experts of `denseHidden`. */
export function moeShape(tokens: number, width: number, denseHidden: number): MoeShape {
  const splits = [1, 2, 4, 8].map((fold) => ({ experts: 8 * fold, hidden: denseHidden / fold, capacityFactor: fold }));
  return { tokens, width, denseHidden, splits };
}

export const MOE_SHAPES: Readonly<Record<Scale, MoeShape>> = {
  full: moeShape(2048, 256, 1024),
  reduced: moeShape(512, 128, 512),
  quick: moeShape(64, 16, 32),
};

export interface RouterShape {
  readonly tokens: number;
  readonly width: number;
  /** N */
  readonly experts: number;
}

export const routerShape = (quick: boolean): RouterShape => (quick ? { tokens: 64, width: 16, experts: 64 } : { tokens: 2048, width: 256, experts: 64 });

// Attention by subgroup matrices: its programs are valid where Dawn knows matrices, and, with matrices spelled out, compute what the suite
// and the plain kernels compute.
import type { DType, Operand } from '@xmoe/core';
import { runConformance } from '@xmoe/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { DeviceTraits } from '../src/device/traits.js';
import { createWebGpuBackend, type WebGpuBackend } from '../src/index.js';
import { attentionMatrices, matrixHeads, type AttentionMatrices } from '../src/kernels/attention-matrix-wgsl.js';
import { CHROMIUM_MATRICES, type MatrixDialect } from '../src/kernels/subgroup-matrix-wgsl.js';
import { checkAttention } from '../src/tuning/check-attention.js';
import { webGpuAdapter } from './adapter.js';
import { EMULATED_MATRICES } from './emulated-matrices.js';
import { nullBackend } from './every-product.js';

/** Less memory, smaller blocks, programs that compile sooner. */
const SMALL = { workgroupMemoryBytes: 7168 };
const EMULATED: AttentionMatrices = { side: 8, subgroupSize: 8, dialect: EMULATED_MATRICES };

/** Attention and its gradient on operands of whatever is in memory; [1, T, D]. */
function runAttention({ kernels, allocate }: WebGpuBackend, T: number, D: number, { rich = false, keys = T } = {}): void {
  const make = (dtype: DType, ...shape: number[]): Operand => ({ buffer: allocate(dtype, shape.reduce((x, y) => x * y, 1)), shape, dtype });
  const [q, dout, out, dq, k, v, dk, dv] = [T, T, T, T, keys, keys, keys, keys].map((length) => make('float16', 1, length, D)) as [Operand, ...Operand[]] & Operand[];
  const stats = make('float32', 1, T, 2);
  const [keyMask, key] = rich ? [make('bool', 1, keys), make('uint32', 2)] : [null, null];
  const options = { heads: 1, causal: true, scale: 0.125, dropoutRate: rich ? 0.5 : 0, stream: 1 };
  kernels.attention!({ q, k: k!, v: v!, keyMask, key }, { out: out!, stats }, options);
  kernels.attentionGrad!({ q, k: k!, v: v!, keyMask, key, out: out!, stats, dout: dout! }, { dq: dq!, dk: dk!, dv: dv! }, options);
}

const FEATURES = ['shader-f16', 'subgroups', 'chromium-experimental-subgroup-matrix'];
const LARGE = { subgroupMinSize: 32, subgroupMaxSize: 32, workgroupMemoryBytes: 49152, maxInvocations: 1024 };

describe('attention by subgroup matrices on the null backend of Dawn', () => {
  it.each([16, 64, 80, 128])('is valid WGSL for heads of %i', async (D) => {
    const backend = await nullBackend(FEATURES, { tuning: 'off', traits: LARGE });
    backend.tilings.attention = { side: 16, subgroupSize: 32, dialect: CHROMIUM_MATRICES };
    const create = vi.spyOn(backend.device, 'createShaderModule');
    for (const [rich, keys] of [[false, 32], [true, 32], [true, 33]] as const) await backend.compile(() => runAttention(backend, 32, D, { rich, keys }));
    const sources = create.mock.calls.map(([{ code }]) => code).filter((code) => code.includes('subgroupMatrixLoad'));
    create.mockRestore();
    expect(sources.length).toBe(9);
    for (const code of sources) {
      const { messages } = await backend.device.createShaderModule({ code }).getCompilationInfo();
      expect(messages.map(({ message }) => message)).toEqual([]);
    }
    backend.dispose();
  });

  it('takes the first cubes of the device, and none for other heads or of unknown subgroups', () => {
    const traits = { ...LARGE, float16: true, subgroupMatrix: [{ M: 16, N: 8, K: 16 }, { M: 16, N: 16, K: 16 }] } as unknown as DeviceTraits;
    const matrices = attentionMatrices(traits, CHROMIUM_MATRICES)!;
    expect(matrices.side).toBe(16);
    const cuts = (D: number, changed: Partial<DeviceTraits> = {}) => {
      const heads = matrixHeads(matrices, D, { ...traits, ...changed });
      return heads && Object.values(heads).map(({ rows, block }) => `${rows} × ${block}`);
    };
    expect(cuts(64)).toEqual(['64 × 64', '64 × 32', '64 × 32']);
    expect(cuts(128)).toEqual(['64 × 32', '64 × 32', '64 × 16']);
    expect(cuts(64, { workgroupMemoryBytes: 16384 })).toEqual(['32 × 16', '32 × 16', '32 × 16']);
    expect(cuts(64, { workgroupMemoryBytes: 4096 })).toBeUndefined();
    for (const D of [0, 8, 72, 144]) expect(cuts(D)).toBeUndefined();
    expect(attentionMatrices({ ...traits, subgroupMinSize: 16 }, CHROMIUM_MATRICES)).toBeUndefined();
    expect(attentionMatrices({ ...traits, float16: false }, CHROMIUM_MATRICES)).toBeUndefined();
  });
});

const { available, reason, float16 } = await webGpuAdapter();

describe.skipIf(!available || !float16)(`on ${reason}`, () => {
  runConformance({ describe, it, expect }, 'emulated subgroup matrices', async () => {
    const backend = await createWebGpuBackend({ traits: SMALL });
    backend.tilings.attention = EMULATED;
    return backend;
  }, {
    primitives: ['attention', 'attentionGrad'],
    variants: 'native',
    skip: ({ dtype, label, operands: { q } }) => (dtype !== 'float16' || q!.shape[2]! % 8 !== 0 ? 'not by matrices' : label.includes('everything') ? undefined : 'like another'),
  });

  describe('the check', () => {
    let backend: WebGpuBackend;
    beforeEach(async () => {
      backend = await createWebGpuBackend({ traits: SMALL });
    });
    afterEach(() => backend.dispose());
    it('passes right ones', async () => {
      expect(await checkAttention(backend, EMULATED, 16)).toBe('also in attention');
      expect(backend.tilings.attention).toBe(EMULATED);
    });

    it('refuses those that do not compile, and goes on with the plain kernels', async () => {
      const misspelt = { ...EMULATED, dialect: { ...EMULATED_MATRICES, zero: () => 'var nothing;' } };
      expect(await checkAttention(backend, misspelt, 8)).toMatch(/^none in attention: it does not compile/);
      expect(backend.tilings.attention).toBeUndefined();
    });

    it('refuses those whose gradient does not make the same bits of a score, and says so', async () => {
      // Only the last kernel keeps keys, and has its scores below each other.
      const store: MatrixDialect['store'] = (array, offset, result, pitch) => {
        const astray = array === 'scores' && offset.includes('t * SIDE * SCORE_PITCH') ? `for (var e = 0u; e < 64u; e++) { ${result}[e] *= 1.0000002; }` : '';
        return `${astray} ${EMULATED_MATRICES.store(array, offset, result, pitch)}`;
      };
      expect(await checkAttention(backend, { ...EMULATED, dialect: { ...EMULATED_MATRICES, store } }, 8)).toMatch(/^none in attention: it computes .* in dv$/);
      expect(backend.tilings.attention).toBeUndefined();
    });
  });
});

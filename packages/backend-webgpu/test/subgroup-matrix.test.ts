// Subgroup matrices where no adapter has them: their programs compile in Dawn, and a backend uses them only if they compute what the plain
// tiles compute. Whether real ones do can only be seen on a device that has them.
import type { DType } from '@xmoe/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { create, globals } from 'webgpu';
import { createWebGpuBackend, type WebGpuBackend, type WebGpuBackendOptions } from '../src/index.js';
import { CHROMIUM_MATRICES, type MatrixDialect } from '../src/kernels/subgroup-matrix-wgsl.js';
import { matrixTiles, tileName } from '../src/kernels/tiles/tile-config.js';
import { checkMatrices } from '../src/tuning/check-matrices.js';
import { webGpuAdapter } from './adapter.js';
import { EMULATED_MATRICES } from './emulated-matrices.js';

const FEATURES = ['shader-f16', 'subgroups', 'chromium-experimental-subgroup-matrix'] as GPUFeatureName[];
const SHAPES = [{ M: 16, N: 16, K: 16 }, { M: 8, N: 8, K: 8 }];

// Kept: Dawn stops when it is collected.
const nullGpu = create(['backend=null', 'enable-dawn-features=allow_unsafe_apis']);

async function nullBackend(options: WebGpuBackendOptions = {}): Promise<WebGpuBackend> {
  Object.assign(globalThis, globals);
  const adapter = await nullGpu.requestAdapter();
  const device = await adapter!.requestDevice({ requiredFeatures: FEATURES });
  return createWebGpuBackend({ device, ...options });
}

function runEveryProduct(backend: WebGpuBackend, half: DType = 'float16') {
  const make = (dtype: DType, ...shape: number[]) => ({ buffer: backend.allocate(dtype, shape.reduce((x, y) => x * y, 1)), shape, dtype });
  const { kernels } = backend;
  const out = make('float32', 2, 8, 12);
  kernels.matmul(make(half, 2, 8, 4), make(half, 2, 4, 12), out, { transposeA: false, transposeB: false });
  kernels.matmul(make(half, 2, 4, 8), make(half, 2, 12, 4), out, { transposeA: true, transposeB: true });
  kernels.matmul(make(half, 2, 7, 5), make(half, 1, 5, 3), make(half, 2, 7, 3), { transposeA: false, transposeB: false });
  const [offsets, rows, scale] = [make('int32', 3), make('int32', 9), make('float32', 9)];
  kernels.groupedLinear!(make(half, 5, 8), rows, make(half, 2, 8, 12), make('float32', 2, 12), offsets, make(half, 9, 12), make(half, 9, 12), { transposeW: false, activation: 'gelu-tanh' });
  kernels.groupedLinear!(make(half, 9, 7), null, make(half, 2, 3, 7), null, offsets, make(half, 9, 3), null, { transposeW: true, activation: 'none' });
  kernels.groupedLinearWeightGrad!(make(half, 5, 8), rows, make(half, 5, 12), rows, scale, offsets, make('float32', 2, 8, 12), make('float32', 2, 12));
  kernels.groupedMatmulWeightGrad(make(half, 9, 7), make(half, 9, 3), offsets, make('float32', 2, 7, 3));
  return out;
}

describe('programs of subgroup matrices on the null backend of Dawn', () => {
  for (const shape of SHAPES) {
    it(`compile for ${shape.M}×${shape.N}×${shape.K}`, async () => {
      const backend = await nullBackend();
      const traits = { ...backend.traits, subgroupMatrix: [shape], subgroupMinSize: 32, subgroupMaxSize: 32 };
      const tiles = matrixTiles(traits, CHROMIUM_MATRICES);
      expect(tiles.map(tileName)).toContain(`32x32x32/1x1 of ${shape.M}x${shape.N}x${shape.K}`);
      for (const tile of tiles) {
        backend.tilings.forced = tile;
        await backend.read(runEveryProduct(backend)); // raises what does not compile
      }
      backend.dispose();
    });
  }

  it('are not used when they do not compile, nor when they compute nothing', async () => {
    const traits = { subgroupMatrix: [SHAPES[0]!], subgroupMinSize: 32, subgroupMaxSize: 32 };
    const backend = await nullBackend();
    const misspelt: MatrixDialect = { ...CHROMIUM_MATRICES, accumulate: (result, left, right) => `${result} = subgroupMatrixMultiplyAccumulat(${left}, ${right}, ${result});` };
    expect(await checkMatrices({ ...backend, traits: { ...backend.traits, ...traits } }, misspelt)).toMatch(/^no subgroup matrices: .* does not compile/);
    expect(backend.tilings.matrices).toEqual([]);
    await backend.read(runEveryProduct(backend)); // nothing of it is left behind
    backend.dispose();
  });
});

const { available, reason, float16 } = await webGpuAdapter();

describe.skipIf(!available || !float16)(`the check of subgroup matrices on ${reason}`, () => {
  let backend: WebGpuBackend;
  beforeAll(async () => {
    // So little memory that one tile fits.
    backend = await createWebGpuBackend({ traits: { subgroupMinSize: 8, subgroupMaxSize: 8, workgroupMemoryBytes: 7000 } });
  });
  afterAll(() => backend.dispose());
  const checked = (dialect: MatrixDialect) => checkMatrices({ ...backend, traits: { ...backend.traits, subgroupMatrix: [{ M: 8, N: 8, K: 8 }] } }, dialect);

  it('passes right ones, which float16 products then use', async () => {
    expect(await checked(EMULATED_MATRICES)).toBe('subgroup matrices');
    const shape = { kind: 'matmul', half: true, layout: 'oi', M: 64, N: 64, K: 64, count: 1 } as const;
    expect(tileName(backend.tilings.pick(shape))).toBe('32x32x32/1x1 of 8x8x8');
    expect(backend.tilings.pick({ ...shape, half: false }).kind).toBe('plain');
    expect(backend.tilings.pick({ ...shape, M: 1 }).kind).toBe('plain');
  });

  it('refuses wrong ones and says so', async () => {
    backend.tilings.matrices = [];
    const wrong: MatrixDialect = { ...EMULATED_MATRICES, load: (side, name, array, offset, pitch, _order, shape) => EMULATED_MATRICES.load(side, name, array, offset, pitch, 'row', shape) };
    expect(await checked(wrong)).toMatch(/^no subgroup matrices: 32x32x32\/1x1 of 8x8x8 computes .* for /);
    expect(backend.tilings.matrices).toEqual([]);
  });
});

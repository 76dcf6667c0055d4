// Subgroup matrices where no adapter has them: their programs compile in Dawn, and a backend uses them only if they compute what the plain
// tiles compute. Whether real ones do can only be seen on a device that has them.
import { sizeOf } from '@xmoe/core';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createWebGpuBackend, openGpuDevice, type WebGpuBackend } from '../src/index.js';
import { CHROMIUM_MATRICES, type MatrixDialect } from '../src/kernels/subgroup-matrix-wgsl.js';
import { denseProduct } from '../src/kernels/matmul.js';
import { matrixTileProgram } from '../src/kernels/tiles/matrix-tile-wgsl.js';
import { matrixTiles, tileName, type MatrixTile } from '../src/kernels/tiles/tile-config.js';
import { createProgram } from '../src/runtime/program.js';
import { checkMatrices } from '../src/tuning/check-matrices.js';
import { TRUST_ENTRY, trustMatrices } from '../src/tuning/trust.js';
import { webGpuAdapter } from './adapter.js';
import { EMULATED_MATRICES } from './emulated-matrices.js';
import { nullBackend, runEveryProduct } from './every-product.js';

const FEATURES = ['shader-f16', 'subgroups', 'chromium-experimental-subgroup-matrix'];
const SHAPES = [{ M: 16, N: 16, K: 16 }, { M: 8, N: 8, K: 8 }];

const NULL_TRAITS = { subgroupMinSize: 128, subgroupMaxSize: 128 };

describe('programs of subgroup matrices on the null backend of Dawn', () => {
  for (const shape of SHAPES) {
    const size = `${shape.M}×${shape.N}×${shape.K}`;

    it(`compile with every product for ${size}`, async () => {
      const backend = await nullBackend(FEATURES);
      // Its subgroups are of 128 and its workgroups of at most 256, which leaves the smaller tiles.
      const tiles = matrixTiles({ ...backend.traits, ...NULL_TRAITS, subgroupMatrix: [shape] }, CHROMIUM_MATRICES);
      expect(tiles.map(tileName)).toEqual([`64x32x32/2x1 of ${shape.M}x${shape.N}x${shape.K}`, `32x64x32/1x2 of ${shape.M}x${shape.N}x${shape.K}`, `32x32x32/1x1 of ${shape.M}x${shape.N}x${shape.K}`]);
      for (const tile of tiles) {
        backend.tilings.forced = tile;
        await backend.read(runEveryProduct(backend)); // raises what does not compile
      }
      backend.dispose();
    });

    it(`are valid WGSL with every tile for ${size}`, async () => {
      const backend = await nullBackend(FEATURES);
      const large = { subgroupMatrix: [shape], subgroupMinSize: 32, subgroupMaxSize: 32, workgroupMemoryBytes: 49152, maxInvocations: 1024 };
      const tiles = matrixTiles({ ...backend.traits, ...large }, CHROMIUM_MATRICES);
      expect(tiles.length).toBe(8);
      const [a, b] = [{ buffer: 'a', element: 'f16', rows: 'outer', width: 8 }, { buffer: 'b', element: 'f16', rows: 'inner', width: 1 }] as const;
      for (const tile of tiles) {
        const { source } = createProgram('tile', matrixTileProgram(denseProduct(a, b, 'f16', false, false), tile));
        const { messages } = await backend.device.createShaderModule({ code: source }).getCompilationInfo();
        expect(messages.map(({ message }) => message), tileName(tile)).toEqual([]);
        // Vulkan wants matrices at multiples of 16 bytes, and only the type of its elements puts an array there: beside another variable an array of f16 is not.
        const arrays = new Set([...source.matchAll(/subgroupMatrix(?:Load<[^(]*|Store<\w+>)\(&(\w+)/g)].map(([, name]) => name!));
        expect([...arrays].sort()).toEqual(['aTile', 'bTile', 'results']);
        for (const name of arrays) expect(source).toMatch(new RegExp(`var<workgroup> ${name}: array<vec4(f|<u32>),`));
      }
      backend.dispose();
    });
  }

  it('are not used when they do not compile', async () => {
    const backend = await nullBackend(FEATURES);
    const check = (dialect: MatrixDialect) => checkMatrices(backend, matrixTiles({ ...backend.traits, ...NULL_TRAITS, subgroupMatrix: SHAPES }, dialect));
    const misspelt: MatrixDialect = { ...CHROMIUM_MATRICES, accumulate: (result, left, right) => `${result} = subgroupMatrixMultiplyAccumulat(${left}, ${right}, ${result});` };
    expect(await check(misspelt)).toMatch(/^no subgroup matrices: .* does not compile/);
    expect(backend.tilings.matrices).toEqual([]);
    // These do, and compute whatever lies in the memory of a device that computes nothing.
    expect(await check(CHROMIUM_MATRICES)).not.toMatch(/compile|fails/);
    backend.dispose();
  });

  it('are checked once for a device, its driver and the programs, and a refusal is not remembered', async () => {
    const backend = await nullBackend(FEATURES, { tuning: 'off', traits: { ...NULL_TRAITS, subgroupMatrix: SHAPES } });
    const compile = vi.spyOn(backend, 'compile');
    // What a device that computes nothing has in its memory is not the question here.
    vi.spyOn(backend, 'read').mockImplementation(({ shape }) => Promise.resolve(new Float32Array(sizeOf(shape))));
    let kept: Record<string, string> = {};
    const store = { load: async () => kept, save: async (choices: Record<string, string>) => void (kept = { ...kept, ...choices }) };
    const trust = async () => {
      compile.mockClear();
      backend.tilings.matrices = [];
      const notes = await trustMatrices(backend, store);
      return { notes, tiles: backend.tilings.matrices.map(tileName), compiled: compile.mock.calls.length };
    };
    const first = await trust();
    expect(first.notes[0]).toBe('subgroup matrices');
    expect(first.compiled).toBeGreaterThanOrEqual(3);
    expect(await trust()).toEqual({ ...first, notes: [...first.notes, 'checked before'], compiled: 0 });
    // Written by other programs.
    kept = { [TRUST_ENTRY]: kept[TRUST_ENTRY]!.replace(/^\w+/, '0') };
    expect((await trust()).compiled).toBe(first.compiled);
    kept = {};
    compile.mockResolvedValue('no');
    expect((await trust()).notes[0]).toMatch(/does not compile/);
    expect(kept).toEqual({});
    backend.dispose();
  });

  it('are mentioned by the backend', async () => {
    const backend = await nullBackend(FEATURES, { tuning: 'off', traits: { ...NULL_TRAITS, subgroupMatrix: [{ M: 16, N: 24, K: 16 }] } });
    expect(backend.description).toContain('no tile for its subgroup matrices');
    backend.dispose();
  });
});

const { available, reason, float16 } = await webGpuAdapter();

describe.skipIf(!available || !float16)(`the check of subgroup matrices on ${reason}`, () => {
  let backend: WebGpuBackend;
  beforeAll(async () => {
    backend = await createWebGpuBackend();
  });
  afterAll(() => backend.dispose());
  const tileOf = (dialect: MatrixDialect): MatrixTile => ({
    kind: 'matrix', tileM: 16, tileN: 8, tileK: 8, subgroupsM: 2, subgroupsN: 1, subgroupSize: 8, stages: 1, together: 1, shape: { M: 8, N: 8, K: 8 }, dialect,
  });

  it('does without where they compile but break the backend', async () => {
    const { device } = await openGpuDevice();
    // The check is told that they compile; the device, which does not know the extension, has something else to say when they run.
    vi.spyOn(device, 'createComputePipelineAsync').mockImplementation((descriptor) => Promise.resolve(device.createComputePipeline(descriptor)));
    const shape = { M: 8, N: 8, K: 8 };
    const broken = await createWebGpuBackend({ device, traits: { subgroupMatrix: [shape], subgroupMinSize: 32, subgroupMaxSize: 32 } });
    expect(broken.description).toMatch(/neither tuned nor with subgroup matrices: .*[Ii]nvalid/);
    expect(broken.tilings.matrices).toEqual([]);
    const out = { buffer: broken.allocate('float16', 4), shape: [4], dtype: 'float16' } as const;
    broken.kernels.fill({}, { out }, { value: 2 });
    expect(Array.from(await broken.read(out))).toEqual([2, 2, 2, 2]);
    broken.dispose();
    device.destroy();
  });

  it('passes right ones, which float16 products then use', async () => {
    const tile = tileOf(EMULATED_MATRICES);
    expect(await checkMatrices(backend, [tile])).toBe('subgroup matrices');
    const shape = { kind: 'matmul', half: true, layout: 'oi', M: 64, N: 64, K: 64, count: 1 } as const;
    expect(backend.tilings.pick(shape)).toBe(tile);
    expect(backend.tilings.pick({ ...shape, half: false }).kind).toBe('plain');
    expect(backend.tilings.pick({ ...shape, M: 1 }).kind).toBe('plain');
  });

  it('refuses wrong ones and says so', async () => {
    backend.tilings.matrices = [];
    const tile = tileOf({ ...EMULATED_MATRICES, accumulate: (result, left, right) => EMULATED_MATRICES.accumulate(result, right, left) });
    expect(await checkMatrices(backend, [{ ...tile, tileM: 32, subgroupsM: 4 }])).toMatch(/^no subgroup matrices: 32x8x8\/4x1 of 8x8x8 computes .* for /);
    expect(backend.tilings.matrices).toEqual([]);
  });

  it('looks at every tile, and at grouped products', async () => {
    const right = tileOf(EMULATED_MATRICES);
    const wrong: MatrixTile = { ...right, tileM: 32, subgroupsM: 4, dialect: { ...EMULATED_MATRICES, accumulate: (result, left, right) => EMULATED_MATRICES.accumulate(result, right, left) } };
    // In the middle.
    expect(await checkMatrices(backend, [right, wrong, { ...right, tileN: 16 }])).toMatch(/^no subgroup matrices: 32x8x8\/4x1 of 8x8x8 computes/);
    const asked = new Set<string>();
    const { kernels } = backend;
    for (const name of ['matmul', 'groupedMatmul', 'groupedMatmulWeightGrad'] as const) {
      vi.spyOn(kernels, name).mockImplementation(((...operands: never[]) => void asked.add(name + String(operands.length))) as never);
    }
    await checkMatrices(backend, [right]);
    vi.restoreAllMocks();
    expect([...asked].map((name) => name.replace(/\d$/, ''))).toEqual(['matmul', 'groupedMatmul', 'groupedMatmulWeightGrad']);
    backend.tilings.matrices = [];
  });
});

// The phases of bench/gpu/main.ts: what the device is, what its parts reach, where a step's time goes, whether it computes right.
import { createWebGpuBackend, type WebGpuBackend } from '@xmoe/backend-webgpu';
import { createEngine, type Operand } from '@xmoe/core';
import { runConformance, type TestFramework } from '@xmoe/testing';
import { loadLanguagePreset } from '@xmoe/models/presets';
import type { LanguageConfig } from '@xmoe/models';
import { openTorch, type TorchPeer } from '../peers/torch.js';
import { torchModel } from '../peers/torch-model.js';
import { createStepTrainer, vocabularyOf, zipfBatch } from '../train-step.js';
import type { PhaseName } from './options.js';
import { compareWebGpuLayers } from '../webgpu-peers/sections.js';
import { LAYERS } from '../webgpu-peers/shapes.js';
import { measureProducts, operandOf, type Say } from './products.js';

/** What model_torch.py leaves out as well. */
const BESIDE_TORCH = ['model.dropout=0', 'model.checkpointing=false'];

/** Presets, and what is set in them, whose update is measured here and in PyTorch. */
const STEPS = {
  'step 323m float16': ['323m-xmoe-64x384', BESIDE_TORCH],
  'step 124m float16': ['124m-dense', BESIDE_TORCH],
  'step 124m float32': ['124m-dense', [...BESIDE_TORCH, 'train.precision=float32']],
  'step small': ['small', []],
  'step tiny': ['tiny', []],
} as const satisfies Partial<Record<PhaseName, readonly [preset: string, set: readonly string[]]>>;

/** Milliseconds after which a GPU that slept has its clock. */
const WARM_MS = 1500;

type Phase = (say: Say, small: boolean) => Promise<void>;

export const PHASES: Record<PhaseName, Phase> = {
  device: describeDevice,
  launches: measureLaunchCost,
  ...(Object.fromEntries(Object.entries(STEPS).map(([name, [preset, set]]): [string, Phase] => [name, (say) => step(say, preset, set)])) as Record<keyof typeof STEPS, Phase>),
  products: async (say, small) => withBackend((backend) => measureProducts(backend, say, small)),
  torch: compareTorch,
  layers: measureLayers,
  'step 323m preset': (say) => step(say, '323m-xmoe-64x384', []),
  conformance: checkConformance,
};

/** As users have it: what is measured and checked is remembered for the next phase. */
async function withBackend(work: (backend: WebGpuBackend) => Promise<void>): Promise<void> {
  const backend = await createWebGpuBackend();
  try {
    await work(backend);
  } finally {
    backend.dispose();
  }
}

async function describeDevice(say: Say): Promise<void> {
  const began = performance.now();
  await withBackend(async ({ device, description, traits, tilings }) => {
    const info = device.adapterInfo as GPUAdapterInfo & { readonly subgroupMatrixConfigs?: Iterable<object> };
    say({
      description, openedMs: Math.round(performance.now() - began), traits, features: [...device.features].sort(), matrixConfigurations: [...(info.subgroupMatrixConfigs ?? [])].map((one) => ({ ...one })),
      matrixTiles: tilings.matrices.length, node: process.version,
    });
  });
}

/** A chain of launches that wait for each other, and a copy. */
async function measureLaunchCost(say: Say, small: boolean): Promise<void> {
  await withBackend(async (backend) => {
    const make = (length: number): Operand => operandOf(backend, 'float32', [length]);
    const [a, b] = [make(1024), make(1024)];
    let hostMs = 0;
    const time = async (launches: number, x: Operand, y: Operand): Promise<number> => {
      const began = performance.now();
      for (let i = 0; i < launches; i++) backend.kernels.unary({ x: i % 2 ? y : x }, { out: i % 2 ? x : y }, { op: 'negate' });
      hostMs = performance.now() - began;
      await backend.read(a);
      return performance.now() - began;
    };
    const length = small ? 2 ** 18 : 2 ** 28;
    const [x, y] = [make(length), make(length)];
    backend.kernels.fill({}, { out: x }, { value: 1 });
    backend.kernels.fill({}, { out: a }, { value: 1 });
    const times: number[] = [];
    // Long enough for a GPU that slept to reach its clock.
    for (const began = performance.now(); times.length < 3 || performance.now() - began < (small ? 0 : WARM_MS);) times.push(await time(10, x, y));
    say({ what: 'copy', gigabytesPerSecond: (10 * 8 * length) / Math.min(...times) / 1e6 });
    await time(2, a, b);
    for (const launches of small ? [50] : [200, 2000]) {
      const chains: number[] = [];
      for (let round = 0; round < 10; round++) chains.push(await time(launches, a, b));
      say({ what: 'chain', launches, microsecondsPerLaunch: (1e3 * Math.min(...chains)) / launches, hostMicrosecondsPerLaunch: (1e3 * hostMs) / launches });
    }
  });
}

const configOf = (preset: string, set: readonly string[]): LanguageConfig => loadLanguagePreset(preset, { set: ['train.accumulation=1', ...set] });

/** Updates of a preset: wall clock of each, then kernels of one by time. */
async function step(say: Say, preset: string, set: readonly string[]): Promise<void> {
  const config = configOf(preset, set);
  await withBackend(async (backend) => {
    const engine = createEngine(backend);
    const began = performance.now();
    const trainer = createStepTrainer(engine, config);
    await backend.read(engine.zeros([1]));
    say({ initializedMs: Math.round(performance.now() - began), tokens: config.train.batchSize * config.model.contextLength, vocabulary: vocabularyOf(config), precision: config.train.precision });
    const batches = [zipfBatch(config, 0)];
    const walls: number[] = [];
    let warmAt = Infinity;
    while (walls.length < 8 || performance.now() < warmAt) {
      const from = performance.now();
      const { loss, gradientNorm, skipped } = await trainer.step(batches, { collectRouting: false });
      walls.push(performance.now() - from);
      // The first compile, measure tiles and record.
      if (walls.length === 3) warmAt = performance.now() + WARM_MS;
      if (walls.length <= 8) say({ update: walls.length, wallMs: walls.at(-1), loss, gradientNorm, skipped });
    }
    const { dispatches, submits } = backend.statistics;
    let kernels: object[] | undefined;
    if (backend.profiler) {
      backend.profiler.start();
      await trainer.step(batches, { collectRouting: false });
      kernels = (await backend.profiler.stop()).slice(0, 80);
    } else await trainer.step(batches, { collectRouting: false });
    const gpuMs = (kernels as { milliseconds: number }[] | undefined)?.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
    say({
      updates: walls.length, fastestMs: Math.min(...walls), medianMs: [...walls].sort((a, b) => a - b)[walls.length >> 1], gpuMs, launches: backend.statistics.dispatches - dispatches, submits: backend.statistics.submits - submits,
      memoryGiB: backend.memory().bytes / 2 ** 30, programs: backend.programs, tiles: Object.fromEntries(backend.tilings.chosen), kernels,
    });
    trainer.dispose();
  });
}

const CHECKED = [
  'matmul', 'groupedMatmul', 'groupedLinear', 'groupedLinearWeightGrad', 'attention', 'attentionGrad', 'softmax', 'layerNorm', 'layerNormGrad', 'crossEntropyStats', 'crossEntropyGrad',
  'thresholdSelect', 'dispatchClaims', 'combineExperts', 'expertsGrad', 'adamStep', 'dropout', 'random', 'topK', 'sortByKey', 'reduce', 'cumsum',
] as const;

/** The cases of the conformance suite, without the test framework: those that fail by name. */
async function checkConformance(say: Say, small: boolean): Promise<void> {
  const tests: { name: string; body: () => void | Promise<void> }[] = [];
  let group = '';
  const framework: TestFramework = {
    describe(name, body) {
      const outer = group;
      group = `${group} ${name}`.trim();
      body();
      group = outer;
    },
    it: (name, body) => void tests.push({ name: `${group}: ${name}`, body }),
    expect: (found) => ({
      toEqual(expected) {
        if (JSON.stringify(found) !== JSON.stringify(expected)) throw new Error(JSON.stringify(found));
      },
    }),
  };
  runConformance(framework, 'webgpu', () => createWebGpuBackend(), { primitives: small ? ['layerNorm', 'reduce'] : CHECKED, variants: 'native', maxElements: small ? 2000 : Infinity });
  let passed = 0;
  for (const { name, body } of tests) {
    try {
      await body();
      passed++;
    } catch (error) {
      say({ failed: name, why: (error instanceof Error ? error.message : String(error)).slice(0, 500) });
    }
  }
  say({ passed, of: tests.length });
  if (passed < tests.length) throw new Error(`${tests.length - passed} of ${tests.length} cases of the conformance suite fail`);
}

/** PyTorch on the same GPU, where a Python here has it. */
async function torchHere(say: Say, small: boolean): Promise<TorchPeer | null> {
  try {
    return await openTorch(small ? 'cpu' : 'cuda');
  } catch (error) {
    say({ skipped: error instanceof Error ? error.message : String(error) });
    return null;
  }
}

/** MoE layers, forward and backward, beside the dense layer of the same FLOPs and PyTorch's layers. */
async function measureLayers(say: Say, small: boolean): Promise<void> {
  const torch = await torchHere(say, small);
  await withBackend(async (backend) => {
    const ours = { name: 'webgpu', engine: createEngine(backend) };
    const dtype = backend.traits.float16 && !small ? 'float16' : 'float32';
    const tables = await compareWebGpuLayers(ours, torch, { shape: LAYERS[small ? 'quick' : 'gpu'][0]!, dtype }, { repeat: small ? 2 : 3, sampleMs: small ? 0 : 50 });
    for (const { title, note, columns, rows } of tables) say({ title, note, columns: columns.map(({ key, label }) => `${key}: ${label}`), rows });
  });
  await torch?.close();
}

/** The same dense product and models in PyTorch. */
async function compareTorch(say: Say, small: boolean): Promise<void> {
  const torch = await torchHere(say, small);
  if (!torch) return;
  say({ description: torch.description });
  const scale = small ? 16 : 1;
  for (const dtype of small ? (['float32'] as const) : (['float16', 'float32'] as const)) {
    const { contestant } = await torch.prepareGemm({ label: 'product', M: 4096 / scale, K: 768 / scale, N: 3072 / scale, transposeB: false }, dtype);
    await contestant.time!(2);
    const milliseconds = Math.min(await contestant.time!(10), await contestant.time!(10)) / 10;
    say({ what: 'product', dtype, M: 4096 / scale, K: 768 / scale, N: 3072 / scale, milliseconds });
    await torch.drop();
  }
  if (!small) {
    for (const [name, [preset, set]] of Object.entries(STEPS)) {
      const config = configOf(preset, set);
      const contestant = await torch.prepareModel(torchModel(config, vocabularyOf(config)));
      for (const began = performance.now(); performance.now() - began < WARM_MS;) await contestant.time!(10);
      say({ what: name, milliseconds: Math.min(await contestant.time!(10), await contestant.time!(10), await contestant.time!(10)) / 10 });
      await torch.drop();
    }
  }
  await torch.close();
}

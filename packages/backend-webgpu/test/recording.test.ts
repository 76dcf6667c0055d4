// Recording and replay: the same bits as without, with nothing made and nothing uploaded, in memory that no other work touches.
import type { CommandRecording, Kernels, Operand } from '@xmoe/core';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createWebGpuBackend, type WebGpuBackend } from '../src/index.js';
import { webGpuAdapter } from './adapter.js';
import { contents, operand, release } from './operands.js';

const { available, reason } = await webGpuAdapter();
const open: WebGpuBackend[] = [];

async function create(): Promise<{ backend: WebGpuBackend; kernels: Kernels }> {
  const backend = await createWebGpuBackend();
  open.push(backend);
  return { backend, kernels: backend.kernels as Kernels };
}

function recorded(backend: WebGpuBackend, fn: () => void): CommandRecording {
  const recording = backend.record!(fn);
  if ('refused' in recording) throw new Error(recording.refused);
  return recording;
}

afterEach(() => {
  vi.restoreAllMocks();
  for (const backend of open.splice(0)) backend.dispose();
});

const N = 37;

/** One step of logistic regression with Adam: temporaries, reductions, an update in place, a loss that is kept. */
function training(backend: WebGpuBackend, kernels: Kernels) {
  const zeros = (length: number): Operand => operand(backend, [length], new Float32Array(length));
  const [x, w, m, v] = [operand(backend, [N, 8], new Float32Array(N * 8)), zeros(8), zeros(8), zeros(8)];
  const hyper = zeros(10);
  const loss = operand(backend, [1]);
  const step = (): void => {
    const [scores, p, gradient] = [operand(backend, [1, N, 1]), operand(backend, [N]), operand(backend, [1, 1, 8])];
    kernels.matmul({ a: { ...x, shape: [1, N, 8] }, b: { ...w, shape: [1, 8, 1] } }, { out: scores }, { transposeA: false, transposeB: false });
    kernels.unary({ x: { ...scores, shape: [N] } }, { out: p }, { op: 'sigmoid' });
    kernels.sumSquares({ parts: [p] }, { out: loss });
    kernels.matmul({ a: { ...p, shape: [1, 1, N] }, b: { ...x, shape: [1, N, 8] } }, { out: gradient }, { transposeA: false, transposeB: false });
    kernels.adamStep({ gradients: [{ ...gradient, shape: [8] }], hyper }, { parameters: [w], m: [m], v: [v] }, { decay: true });
    release(backend, scores, p, gradient);
  };
  /** What changes from step to step comes by upload. */
  const prepare = (t: number): void => {
    backend.write(x, Float32Array.from({ length: N * 8 }, (_, index) => Math.sin(index * t)));
    backend.write(hyper, [0.01 / t, 0.9, 0.99, 1e-8, 0.1, 1 - 0.9 ** t, 1 - 0.99 ** t, 1, 1 - 0.9, 1 - 0.99]);
  };
  const results = (): Promise<number[][]> => Promise.all([loss, w, m, v].map((item) => contents(backend, item)));
  return { step, prepare, results };
}

describe.skipIf(!available)(`a recording, on ${reason}`, () => {
  it('repeats a training step bit for bit', async () => {
    const histories = await Promise.all([false, true].map(async (recording) => {
      const { backend, kernels } = await create();
      const { step, prepare, results } = training(backend, kernels);
      const history: number[][][] = [];
      let replay: CommandRecording | undefined;
      for (let t = 1; t <= 8; t++) {
        prepare(t);
        if (replay) replay.replay();
        else if (recording && t === 2) replay = recorded(backend, step);
        else step();
        history.push(await results());
      }
      return history;
    }));
    expect(histories[1]).toEqual(histories[0]);
    expect(new Set(histories[0]!.map(([loss]) => loss![0])).size).toBe(8);
  });

  it('sees each upload before it, with steps and reads in one batch', async () => {
    const { backend, kernels } = await create();
    const [x, out] = [operand(backend, [2], [1, 2]), operand(backend, [2])];
    const { replay } = recorded(backend, () => kernels.unary({ x }, { out }, { op: 'square' }));
    const found = [[3, 4], [5, 6]].map((values) => {
      backend.write(x, values);
      replay();
      return contents(backend, out);
    });
    expect(await Promise.all(found)).toEqual([[9, 16], [25, 36]]);
    expect(backend.statistics.submits).toBe(1);
  });

  it('launches what was launched and makes nothing', async () => {
    const { backend, kernels } = await create();
    const { step, prepare } = training(backend, kernels);
    prepare(1);
    const start = backend.statistics.dispatches;
    const { replay } = recorded(backend, step);
    const perStep = backend.statistics.dispatches - start;
    const spies = [vi.spyOn(backend.device, 'createBuffer'), vi.spyOn(backend.device, 'createBindGroup'), vi.spyOn(backend.device.queue, 'writeBuffer')];
    for (let i = 0; i < 10; i++) replay();
    expect(backend.statistics.dispatches - start).toBe(11 * perStep);
    expect(spies.map(({ mock }) => mock.calls.length)).toEqual([0, 0, 0]);
  });

  it('is launched kernel by kernel under the profiler too', async () => {
    const { backend, kernels } = await create();
    if (!backend.profiler) return;
    const x = operand(backend, [4], [1, 2, 3, 4]);
    const { replay } = recorded(backend, () => kernels.fill({}, { out: x }, { value: 1 }));
    backend.profiler.start();
    replay();
    replay();
    const times = await backend.profiler.stop();
    expect(times.map(({ calls }) => calls)).toEqual([2]);
  });
});

describe.skipIf(!available)('memory of a recording', () => {
  it('is its own: what it freed inside is not given to other work', async () => {
    const { backend, kernels } = await create();
    const [x, out] = [operand(backend, [64], new Float32Array(64).fill(2)), operand(backend, [64])];
    const { replay } = recorded(backend, () => {
      const [a, b] = [operand(backend, [64]), operand(backend, [64])];
      kernels.unary({ x }, { out: a }, { op: 'square' });
      kernels.unary({ x: a }, { out: b }, { op: 'square' });
      kernels.unary({ x: b }, { out }, { op: 'square' });
      release(backend, a, b);
    });
    const others = Array.from({ length: 8 }, (_, index) => operand(backend, [64], new Float32Array(64).fill(index)));
    replay();
    const found = await Promise.all(others.map((item) => contents(backend, item)));
    expect(found.map((values) => new Set(values))).toEqual(others.map((_, index) => new Set([index])));
    // And other work does not disturb it.
    others.forEach((item) => kernels.fill({}, { out: item }, { value: 99 }));
    replay();
    expect(new Set(await contents(backend, out))).toEqual(new Set([256]));
  });

  it('is shared by recordings where it is free between their runs, and what they keep is not', async () => {
    const { backend, kernels } = await create();
    const mebi = 2 ** 18;
    const x = operand(backend, [mebi], new Float32Array(mebi).fill(3));
    const keep = (op: 'square' | 'negate'): { recording: CommandRecording; kept: Operand } => {
      let kept: Operand | undefined;
      const recording = recorded(backend, () => {
        const temporary = operand(backend, [mebi]);
        kernels.unary({ x }, { out: temporary }, { op });
        kept = operand(backend, [4]);
        kernels.slice({ x: temporary }, { out: kept }, { begin: [7] });
        release(backend, temporary);
      });
      return { recording, kept: kept! };
    };
    const first = keep('square');
    const { bytes } = backend.memory();
    const second = keep('negate');
    expect(backend.memory().bytes).toBeLessThan(bytes + 4096);
    backend.write(x, new Float32Array(mebi).fill(5));
    first.recording.replay();
    second.recording.replay();
    expect(await contents(backend, first.kept)).toEqual([25, 25, 25, 25]);
    expect(await contents(backend, second.kept)).toEqual([-5, -5, -5, -5]);
  });

  it('goes with it, and what it kept when that is freed', async () => {
    const { backend, kernels } = await create();
    const x = operand(backend, [1000], new Float32Array(1000).fill(3));
    const { bytes } = backend.memory();
    let kept: Operand | undefined;
    const recording = recorded(backend, () => {
      const temporary = operand(backend, [1000]);
      kernels.unary({ x }, { out: temporary }, { op: 'square' });
      kept = operand(backend, [1000]);
      kernels.unary({ x: temporary }, { out: kept }, { op: 'negate' });
      release(backend, temporary);
    });
    expect(backend.memory().bytes).toBeGreaterThan(bytes + 7000);
    recording.dispose();
    expect(backend.memory().bytes).toBeLessThan(bytes + 5000);
    expect((await contents(backend, kept!))[999]).toBe(-9);
    release(backend, kept!);
    expect(backend.memory().bytes).toBe(bytes);
    recording.dispose();
    expect(() => recording.replay()).toThrow(/after it was disposed/);
  });

  it('is flat when recordings come and go', async () => {
    const { backend, kernels } = await create();
    const { step, prepare } = training(backend, kernels);
    prepare(1);
    const cycle = (): void => {
      const recording = recorded(backend, step);
      recording.replay();
      recording.dispose();
    };
    cycle();
    const { bytes } = backend.memory();
    for (let i = 0; i < 20; i++) cycle();
    expect(backend.memory().bytes).toBe(bytes);
  });
});

describe.skipIf(!available)('work that cannot be repeated', () => {
  it('is done all the same, and refused with the reason', async () => {
    const { backend, kernels } = await create();
    const [x, out] = [operand(backend, [2], [1, 2]), operand(backend, [2])];
    const written = backend.record!(() => {
      backend.write(x, [3, 4]);
      kernels.unary({ x }, { out }, { op: 'negate' });
    });
    expect(written).toEqual({ refused: 'a tensor is written by the host' });
    expect(await contents(backend, out)).toEqual([-3, -4]);
    let pending: Promise<number[]> | undefined;
    const read = backend.record!(() => {
      kernels.unary({ x }, { out }, { op: 'square' });
      pending = contents(backend, out);
    });
    expect(read).toEqual({ refused: 'a tensor is read by the host' });
    expect(await pending).toEqual([9, 16]);
  });

  it('leaves no memory behind, whether refused or failed', async () => {
    const { backend, kernels } = await create();
    const x = operand(backend, [500], new Float32Array(500));
    const { bytes } = backend.memory();
    const attempt = (failing: boolean, keeping: boolean): void => {
      let kept: Operand | undefined;
      const work = (): void => {
        const temporary = operand(backend, [500]);
        kernels.unary({ x }, { out: temporary }, { op: 'square' });
        if (keeping) kept = operand(backend, [700]);
        release(backend, temporary);
        backend.write(x, new Float32Array(500));
        if (failing) throw new Error('half-way');
      };
      if (failing) expect(() => backend.record!(work)).toThrow('half-way');
      else expect(backend.record!(work)).toHaveProperty('refused');
      if (kept) release(backend, kept);
      expect(backend.memory().bytes).toBe(bytes);
    };
    for (const failing of [false, true]) for (const keeping of [false, true]) attempt(failing, keeping);
    // The next one works.
    recorded(backend, () => kernels.fill({}, { out: x }, { value: 1 })).dispose();
  });

  it('is also a recording within a recording', async () => {
    const { backend } = await create();
    expect(() => backend.record!(() => void backend.record!(() => undefined))).toThrow(/recording is under way/);
  });
});

// What was freed stays freed on every build: typed errors instead of the contents of other tensors. And what the stand-ins for native
// builds cannot show by themselves: which calls TensorFlow refuses.
import { describe, expect, it } from 'vitest';
import { add, argMax, concat, createEngine, sum, topK, type XMoEError } from '@xmoe/core';
import { createTfjsBackend, fromTf, toTf, type Tfjs, type TfjsBackend } from '@xmoe/backend-tfjs';
import { createTfjsBackendFor, loadTfjs } from '@xmoe/backend-tfjs/node';

const { tf } = await loadTfjs({ build: 'cpu' });
await loadTfjs({ build: 'wasm' });
const builds: [string, () => Promise<TfjsBackend>][] = [
  ['wasm', () => createTfjsBackendFor('wasm')],
  ['cpu', () => createTfjsBackendFor('cpu')],
  ['device kernels', async () => createTfjsBackend(tf, { backendName: 'cpu', mode: 'device' })],
];

async function codeOf(run: () => unknown): Promise<string> {
  try {
    await run();
    return 'no error';
  } catch (error) {
    return (error as XMoEError).code;
  }
}

describe.each(builds)('%s', (_, open) => {
  it('refuses operands whose buffer was freed, to kernels, reads and writes', async () => {
    const backend = await open();
    for (const dtype of ['float32', 'int32', 'uint32', 'bool'] as const) {
      const operand = { buffer: backend.allocate(dtype, 4), shape: [4], dtype };
      const other = { buffer: backend.allocate(dtype, 4), shape: [4], dtype };
      backend.free(operand.buffer);
      const uses = [
        () => backend.read(operand), () => backend.readSync!(operand), () => backend.write(operand, [1, 2, 3, 4]),
        () => backend.kernels.fill(
          {},
          { out: operand },
          { value: 1 },
        ), () => backend.kernels.slice({ x: operand }, { out: other }, { begin: [0] }), () => backend.free(operand.buffer),
        () => toTf(operand, backend),
      ];
      for (const use of uses) expect(await codeOf(use), `${dtype} ${use}`).toBe(dtype === 'uint32' && use === uses[6] ? 'dtype' : 'disposed');
      expect(await codeOf(() => backend.kernels.slice({ x: { ...other, buffer: {} } }, { out: other }, { begin: [0] }))).toBe('backend');
      backend.free(other.buffer);
    }
    backend.dispose();
    backend.dispose();
    expect(await codeOf(() => backend.allocate('float32', 1))).toBe('disposed');
  });

  it('refuses tensors of an engine that was disposed, while another engine goes on', async () => {
    const engine = createEngine(await open());
    const [x, key, flags] = [engine.tensor([1, 2, 3]), engine.key([1, 2]), engine.tensor([true, false])];
    engine.dispose();
    const next = createEngine(await open());
    const other = next.full([3], 777);
    const shared = toTf(other);
    const uses = [() => x.data(), () => key.data(), () => flags.data(), () => add(x, 1), () => sum(x), () => engine.tensor([1]), () => engine.key([1, 2]), () => fromTf(engine, shared)];
    for (const use of uses) expect(await codeOf(use), String(use)).toBe('disposed');
    expect(Array.from(await other.data())).toEqual([777, 777, 777]);
    shared.dispose();
    next.dispose();
  });

  it('orders NaN last, wherever it stands', async () => {
    const engine = createEngine(await open());
    for (const row of [[NaN, 1, 2, 3], [1, NaN, 2, 3], [1, 2, 3, NaN]]) {
      const x = engine.tensor(row, [1, 4]);
      const ids = [3, 2, 1].map((value) => row.indexOf(value));
      const { values, indices } = topK(x, 3);
      expect([...(await values.data())]).toEqual([3, 2, 1]);
      expect([...(await indices.data())]).toEqual(ids);
      if (_ !== 'device kernels') expect(await argMax(x).item()).toBe(ids[0]);
    }
    engine.dispose();
  });
});

describe('calls that TensorFlow itself refuses', () => {
  it('gives its Concat two tensors or more', async () => {
    const strict: Tfjs = {
      ...tf,
      getKernel(name, backendName) {
        const kernel = tf.getKernel(name, backendName);
        if (name !== 'Concat' || !kernel) return kernel;
        const kernelFunc: typeof kernel.kernelFunc = (call) => {
          if (Object.keys(call.inputs).length < 2) throw new Error('ConcatV2 takes at least two tensors');
          return kernel.kernelFunc(call);
        };
        return { ...kernel, kernelFunc };
      },
    };
    const engine = createEngine(createTfjsBackend(strict, { backendName: 'cpu', mode: 'device' }));
    const x = engine.tensor([1, 2, 3, 4], [2, 2]);
    const alone = concat([x], 0);
    x.dispose();
    expect([...(await alone.data())]).toEqual([1, 2, 3, 4]);
    expect([...(await concat([alone, alone], 1).data())]).toEqual([1, 2, 1, 2, 3, 4, 3, 4]);
    engine.dispose();
  });
});

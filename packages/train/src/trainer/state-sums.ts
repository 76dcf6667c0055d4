// What states of layers move by, over the micro-batches of all ranks: whole numbers, so that neither order nor number of ranks shows in the sums.
import { collectTensors, type Engine, type Parameters, type Shape, type Tensor } from '@xmoe/core';
import { fromFirst, type Comm } from '@xmoe/distributed';

export interface StateSums {
  /** Of a new update. */
  begin(): void;
  /** Adds those of one micro-batch or several, and disposes them. */
  add(sums: Parameters | null): Promise<void>;
  /** The sums over all ranks, in the same tensors each time. Called once in an update, by all ranks. */
  overRanks(): Promise<Parameters>;
  dispose(): void;
}

interface Sum {
  readonly name: string;
  readonly shape: Shape;
  readonly values: Int32Array;
}

export function createStateSums(engine: Engine, comm: Comm): StateSums {
  const own = new Map<string, Sum>();
  // Rewritten for each update: a recorded step stays valid.
  const onDevice: Record<string, Tensor> = {};
  return {
    begin: () => own.clear(),
    async add(sums) {
      try {
        for (const [name, tensor] of Object.entries(sums ?? {})) {
          const data = await tensor.data();
          const sum = own.get(name) ?? { name, shape: tensor.shape, values: new Int32Array(data.length) };
          data.forEach((value, index) => (sum.values[index]! += value));
          own.set(name, sum);
        }
      } finally {
        for (const tensor of collectTensors(sums)) tensor.dispose();
      }
    },
    async overRanks() {
      // A rank without micro-batches knows no names; the first has one in every update.
      const wanted = await fromFirst(comm, [...own.values()].map(({ name, shape, values }) => ({ name, shape, length: values.length })));
      for (const { name, shape, length } of wanted) {
        const values = own.get(name)?.values ?? new Int32Array(length);
        await comm.allReduce(values, 'sum');
        (onDevice[name] ??= engine.zeros(shape, 'int32').keep()).write(values);
      }
      return onDevice;
    },
    dispose() {
      for (const tensor of Object.values(onDevice)) tensor.dispose();
    },
  };
}

// What states of layers move by, over the micro-batches of all ranks: whole numbers, so that neither order nor number of ranks shows in the sums.
import { collectTensors, type Engine, type Parameters, type Shape, type Tensor } from '@xmoe/core';
import { fromFirst, type Comm } from '@xmoe/distributed';

/** Sums of one update. */
export interface StateSums {
  /** Adds those of a micro-batch, and disposes them. */
  add(sums: Parameters | null): Promise<void>;
  /** The sums over all ranks: a function that puts them on the device, within a scope. Called once, by all ranks. */
  overRanks(): Promise<() => Record<string, Tensor>>;
}

interface Sum {
  readonly name: string;
  readonly shape: Shape;
  readonly values: Int32Array;
}

export function createStateSums(engine: Engine, comm: Comm): StateSums {
  const own = new Map<string, Sum>();
  return {
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
      const all: Sum[] = [];
      for (const { name, shape, length } of wanted) {
        const values = own.get(name)?.values ?? new Int32Array(length);
        await comm.allReduce(values, 'sum');
        all.push({ name, shape, values });
      }
      return () => Object.fromEntries(all.map(({ name, shape, values }) => [name, engine.tensor(values, shape, 'int32')]));
    },
  };
}

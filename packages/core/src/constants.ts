// Numbers that ops were given, as shared tensors, so that `multiply(x, 2)` costs one kernel and not three.
// Not a cache of results.
import type { DType } from './dtype.js';
import type { Storage, Tensor } from './tensor.js';

/** A program uses few distinct numbers; one that computes them anew each step must not fill the device. */
const MOST = 512;

export interface Constants {
  get(value: number, dtype: DType): Tensor;
  holds(storage: Storage): boolean;
  /** Buffers held. */
  readonly size: number;
}

/** `make` gives a tensor [] that no scope owns. */
export function createConstants(make: (value: number, dtype: DType) => Tensor): Constants {
  // Oldest first. −0 has a name of its own because a Map takes it for 0.
  const byType = new Map<DType, Map<number | '-0', Tensor>>();
  let size = 0;

  const dropOldest = (constants: Map<number | '-0', Tensor>): void => {
    for (const [name, tensor] of constants) {
      constants.delete(name);
      size--;
      tensor.dispose();
      return;
    }
  };

  return {
    get(value, dtype) {
      let constants = byType.get(dtype);
      if (!constants) byType.set(dtype, (constants = new Map()));
      const name = Object.is(value, -0) ? '-0' : value;
      const found = constants.get(name);
      if (found) return found;
      if (constants.size >= MOST) dropOldest(constants);
      const made = make(value, dtype);
      constants.set(name, made);
      size++;
      return made;
    },
    holds: (storage) => [...byType.values()].some((constants) => [...constants.values()].some((tensor) => tensor.storage === storage)),
    get size() {
      return size;
    },
  };
}

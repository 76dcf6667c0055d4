// How the sums of gradients on the device come to the host: in tensors that are always the same ones, since they may be written by a recording.
import { assign, type Engine, type Segment, type Tensor } from '@xmoe/core';
import type { FlatTensors } from './flat-tensors.js';

type Tensors = Readonly<Record<string, Tensor>>;

export interface HandOver {
  /** All sums, at the end of the last segment that makes them. */
  take(sums: Tensors): void;
  /** Those of `of`, to be read before others are asked for. Called in the same order each time. */
  give(of: FlatTensors, segment: Segment): Tensors;
  /** Lets go of what was taken. */
  drop(): void;
  dispose(): void;
}

/** All at once, into tensors of which the caller has one for each. */
export function createHandOver(totals: Tensors): HandOver {
  return {
    take(sums) {
      for (const [name, sum] of Object.entries(sums)) assign(totals[name]!, sum);
    },
    give: () => totals,
    drop: () => undefined,
    dispose: () => undefined,
  };
}

/** Some at a time, of `chunks`, which share tensors: sums that stay nowhere on the device take their memory only until they are given. */
export function createStagedHandOver(engine: Engine, chunks: readonly FlatTensors[]): HandOver {
  const byShape = new Map<string, Tensor[]>();
  const stages = new Map(chunks.map(({ specs }): [string, Record<string, Tensor>] => {
    const used = new Map<string, number>();
    return [specs[0]!.name, Object.fromEntries(specs.map(({ name, shape }): [string, Tensor] => {
      const key = shape.join();
      const tensors = byShape.get(key) ?? [];
      byShape.set(key, tensors);
      const at = used.get(key) ?? 0;
      used.set(key, at + 1);
      return [name, (tensors[at] ??= engine.zeros(shape).keep())];
    }))];
  }));
  let taken: Record<string, Tensor> = {};
  return {
    take(sums) {
      taken = Object.fromEntries(Object.entries(sums).map(([name, sum]) => [name, engine.retain(sum)]));
    },
    give({ specs }, segment) {
      const stage = stages.get(specs[0]!.name)!;
      segment(() => {
        for (const { name } of specs) {
          assign(stage[name]!, taken[name]!);
          taken[name]!.dispose();
        }
      });
      return stage;
    },
    drop() {
      for (const tensor of Object.values(taken)) tensor.dispose();
      taken = {};
    },
    dispose() {
      for (const tensor of [...byShape.values()].flat()) tensor.dispose();
    },
  };
}

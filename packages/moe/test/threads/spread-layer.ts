// A rank that runs the layer of some cases with the experts spread over the team: its own output and gradients, and those of its experts by the
// rank whose tokens they are of. Started as a thread; no test file of its own.
import { createCpuBackend, createWasmBackend } from '@xmoe/backend-cpu';
import { createEngine, type Backend, type Engine, type Tensor } from '@xmoe/core';
import { expertsOfRank } from '@xmoe/moe';
import { asThread } from '@xmoe/testing/threads';
import { contextOn, exactLeavesOn, leavesOn, N, runLayer, type LayerCase, type NumberName } from '../layer-case.js';

export interface SpreadTask {
  readonly backend: 'float64' | 'cpu' | 'cpu:wasm';
  readonly item: LayerCase;
}

export interface SpreadResult {
  readonly output: ArrayLike<number>;
  readonly auxLoss: number | undefined;
  readonly positive: number;
  readonly gradients: { readonly [name: string]: ArrayLike<number> };
  /** `w1 0`: of the rank's experts, by the tokens of rank 0. */
  readonly expertGradients: { readonly [name: string]: ArrayLike<number> };
}

const BACKENDS: Record<SpreadTask['backend'], () => Backend | Promise<Backend>> = {
  float64: () => createCpuBackend({ accumulate: 'float64' }),
  cpu: () => createCpuBackend(),
  'cpu:wasm': () => createWasmBackend({ threads: 1 }),
};
const engines = new Map<string, Engine>();

/** One of each kind in a thread. */
export async function engineOf(backend: SpreadTask['backend']): Promise<Engine> {
  const engine = engines.get(backend) ?? createEngine(await BACKENDS[backend]());
  engines.set(backend, engine);
  return engine;
}

/** Each rank has tokens of its own. */
export function leavesOfRank(engine: Engine, backend: SpreadTask['backend'], rank: number): Record<NumberName, Tensor> {
  const leaves = backend === 'float64' ? exactLeavesOn(engine) : leavesOn(engine);
  leaves.x.write((leaves.x.dataSync() as Float32Array).map((value) => value * (1 + rank / 4)));
  return leaves;
}

await asThread<SpreadTask, SpreadResult>(async (comm, { backend, item }) => {
  const engine = await engineOf(backend);
  const { begin, count } = expertsOfRank(N, comm);
  const leaves = leavesOfRank(engine, backend, comm.rank);
  for (const name of ['w1', 'b1', 'w2', 'b2'] as const) {
    const { shape } = leaves[name];
    const perExpert = leaves[name].size / N;
    const part = engine.zeros([count, ...shape.slice(1)]);
    part.write(leaves[name].dataSync().subarray(begin * perExpert, (begin + count) * perExpert));
    leaves[name] = part;
  }
  const expertGradients: Record<string, ArrayLike<number>> = {};
  const takeGradient = (name: string, source: number, gradient: Tensor): void => void (expertGradients[`${name.split('.').at(-1)!} ${source}`] = gradient.dataSync());
  const { output, auxLoss, trace, gradients } = runLayer(engine, item, leaves, contextOn(engine, item.masked, { takeGradient }), comm);
  const result: SpreadResult = {
    output: output.dataSync(), auxLoss: auxLoss?.dataSync()[0], positive: trace.positive!.dataSync()[0]!, expertGradients,
    gradients: { x: gradients.x.dataSync(), routerWeight: gradients.routerWeight.dataSync() },
  };
  return result;
});

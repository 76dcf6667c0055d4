// The states of a layer among the parameters of a model: the names of their tensors. What is in that of its router is the router's; that of the
// balance loss counts first choices.
import { argMax, bincount, cast, greater, parameter, reshape, select, sum, type LayerState, type ParameterSpec, type Parameters, type Tensor } from '@xmoe/core';
import type { Router, RouterState, Routing, StateTensors } from '@xmoe/routers';

export interface RouterLayerState extends LayerState {
  /** The router's tensors, from the parameters of the model. */
  read(parameters: Parameters): StateTensors;
  /** The router's tensors under the names that they have in the model. */
  named(tensors: StateTensors): Record<string, Tensor>;
}

/** `layer.router.state.…`, or `router.state.…` for one that layers share; null for a router without a state. */
export function layerState({ state }: Router, layer: string, experts: number): RouterLayerState | null {
  return state ? bind(state, state.shared ? 'router.state.' : `${layer}.router.state.`, experts) : null;
}

/** `layer.router.state.balance.…`: how often each expert was a first choice in the last update. */
export function balanceState(layer: string, experts: number): RouterLayerState {
  return bind(FIRST_CHOICES, `${layer}.router.state.balance.`, experts);
}

const FIRST_CHOICES: RouterState = {
  shared: false,
  tensors: (experts) => ({ firstChoices: { shape: [experts], initial: 0 } }),
  next: ({ firstChoices: before }, { firstChoices: now }) => {
    const counts = cast(now!, 'float32');
    return { firstChoices: select(greater(reshape(sum(counts), [1]), 0), counts, before!) };
  },
};

/** What that moves by: the most probable expert of each real token, counted. Int32 [N]. */
export function firstChoices({ probabilities, mask, experts }: Routing): Record<string, Tensor> {
  const top = argMax(probabilities!);
  return { firstChoices: bincount(mask ? select(mask, top, -1) : top, experts) };
}

function bind(state: RouterState, prefix: string, experts: number): RouterLayerState {
  const tensors = Object.entries(state.tensors(experts));
  const parameters = tensors.map(([name, { shape, initial }]): ParameterSpec => ({
    name: prefix + name, shape, init: { kind: 'constant', value: initial }, decay: false, trained: false,
  }));
  const read = (from: Parameters): StateTensors => Object.fromEntries(tensors.map(([name]) => [name, parameter(from, prefix + name)]));
  const named = (own: StateTensors): Record<string, Tensor> => Object.fromEntries(Object.entries(own).map(([name, tensor]) => [prefix + name, tensor]));
  const unnamed = (sums: Parameters): StateTensors =>
    Object.fromEntries(Object.entries(sums).filter(([name]) => name.startsWith(prefix)).map(([name, tensor]) => [name.slice(prefix.length), tensor]));
  return { parameters, read, named, next: (from, sums) => named(state.next(read(from), unnamed(sums))) };
}

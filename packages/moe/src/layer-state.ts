// The state of a layer's router among the parameters of a model: the names of its tensors. What is in them is the router's.
import { parameter, type LayerState, type ParameterSpec, type Parameters, type Tensor } from '@xmoe/core';
import type { Router, StateTensors } from '@xmoe/routers';

export interface RouterLayerState extends LayerState {
  /** The router's tensors, from the parameters of the model. */
  read(parameters: Parameters): StateTensors;
  /** The router's tensors under the names that they have in the model. */
  named(tensors: StateTensors): Record<string, Tensor>;
}

/** `layer.router.state.…`, or `router.state.…` for one that layers share; null for a router without a state. */
export function layerState({ state }: Router, layer: string, experts: number): RouterLayerState | null {
  if (!state) return null;
  const prefix = state.shared ? 'router.state.' : `${layer}.router.state.`;
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

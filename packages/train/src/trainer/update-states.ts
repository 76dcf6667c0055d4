// The step of what is not trained: states of layers, moved once per update by sums over all of its micro-batches. The sums are made in
// update.ts; what a state is, its layer says.
import { assign, less, parameter, select, type LayerState, type Parameters, type Tensor } from '@xmoe/core';
import { LARGEST_NORM } from '@xmoe/nn';

/**
 * Moves the states in place, on the device. An update whose gradient norm, float32 [], is not finite leaves them as they are, as it does the
 * weights. All next states are computed before any is written.
 */
export function updateStates(states: readonly LayerState[], parameters: Parameters, sums: Parameters, norm: Tensor): void {
  const { engine } = norm;
  engine.noGrad(() => engine.scope(() => {
    const applied = less(norm, LARGEST_NORM);
    const next = states.flatMap((state) => Object.entries(state.next(parameters, sums)));
    for (const [name, value] of next) {
      const target = parameter(parameters, name);
      assign(target, select(applied, value, target));
    }
  }));
}

// What training takes of memory, from sizes alone. What a machine has is not known here.

export interface MemoryNeeds {
  /** Values of the model. Training holds four float32 of each: the weight, its gradient and two moments. */
  parameters: number;
  /** Values that one micro-batch keeps for its backward pass, at least. */
  activations: number;
}

/** A number of the configuration that memory depends on, and the needs if it were `value` instead. */
export interface MemoryKnob {
  name: string;
  value: number;
  needsWith(value: number): MemoryNeeds;
}

export function bytesOf({ parameters, activations }: MemoryNeeds): number {
  return 16 * parameters + 4 * activations;
}

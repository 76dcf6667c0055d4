// What training takes of memory, from sizes alone. What a machine has is not known here.

export interface MemoryNeeds {
  /** Values of the model, of one rank. Training holds four float32 of each: the weight, its gradient and two moments. */
  parameters: number;
  /** How many of them have their moments here. Absent: all. */
  moments?: number;
  /** Values that one micro-batch keeps for its backward pass, at least. */
  activations: number;
}

/** A number of the configuration that memory depends on, and the needs if it were `value` instead. */
export interface MemoryKnob {
  name: string;
  value: number;
  needsWith(value: number): MemoryNeeds;
}

export function bytesOf({ activations, ...needs }: MemoryNeeds): number {
  return bytesOfModel(needs) + 4 * activations;
}

/** Of weights, gradients and moments. */
export function bytesOfModel({ parameters, moments = parameters }: Omit<MemoryNeeds, 'activations'>): number {
  return 8 * parameters + 8 * moments;
}

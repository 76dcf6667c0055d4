/**
 * How the gradients of the micro-batches of an update become one. `device`: on the device, one after another, in a run of one process.
 * `deterministic`: in an order that does not depend on the number of ranks, and so neither do the bits. `fast`: each rank on its device, one
 * after another, then over ranks.
 */
export type Reduction = 'device' | 'deterministic' | 'fast';

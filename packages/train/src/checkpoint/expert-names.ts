// Which tensors hold experts, by their names: those of a layer lie along the first axis.

/** The layer whose experts a tensor holds, and which of their tensors it is; null for another one. Moments have a prefix. */
export function expertsIn(name: string): { layer: string; tensor: string } | null {
  const found = /^(?:([mv])\.)?(.+)\.experts\.([^.]+)$/.exec(name);
  if (!found) return null;
  const [, moment, layer, tensor] = found;
  return { layer: layer!, tensor: moment ? `${moment}.${tensor!}` : tensor! };
}

/** What an error calls entry `index` of the first axis of a tensor. */
export function entryName(name: string, index: number): string {
  const experts = expertsIn(name);
  return experts ? `expert ${index} of ${experts.layer} (${experts.tensor})` : `entry ${index} of ${name}`;
}

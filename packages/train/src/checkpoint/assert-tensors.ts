// Compares the tensors a model expects with those a checkpoint holds, and names every difference: experts silently lost
// in saving or converting is a classic. Not a loader.
import { XMoEError } from '@xmoe/core';
import type { StoredDType, StoredTensor } from './tensor-format.js';

export interface ExpectedTensor {
  name: string;
  shape: readonly number[];
  dtype: StoredDType;
}

export interface AssertTensorsOptions {
  /** What is being loaded, e.g. the checkpoint's path. */
  readonly where?: string;
  /** Whether tensors that are not expected are fine. Default false. */
  readonly allowUnexpected?: boolean;
}

/** Names of tensors that hold experts: `…experts.3.…` one by one, or all of a layer stacked along the first axis. */
const ONE_EXPERT = /^(.*?experts?)[.\][_]+(\d+)\b/i;
const EXPERTS = /expert|moe/i;

/**
 * Asserts that `got` is exactly `expected`: every tensor there, with its shape and dtype, and nothing else.
 * @throws XMoEError `checkpoint` that names each missing, unexpected and misshapen tensor, missing experts first
 */
export function assertTensors(
  expected: readonly ExpectedTensor[],
  got: readonly Pick<StoredTensor, 'name' | 'shape' | 'dtype'>[],
  { where = 'the checkpoint', allowUnexpected = false }: AssertTensorsOptions = {},
): void {
  const found = new Map(got.map((tensor) => [tensor.name, tensor]));
  const wanted = new Set(expected.map((tensor) => tensor.name));
  const missing = expected.filter((tensor) => !found.has(tensor.name)).map((tensor) => tensor.name);
  const unexpected = allowUnexpected ? [] : got.filter((tensor) => !wanted.has(tensor.name)).map((tensor) => tensor.name);
  const different = expected.flatMap((tensor) => {
    const other = found.get(tensor.name);
    return other ? describeDifference(tensor, other) : [];
  });
  const problems = [
    ...missingExperts(missing),
    ...(missing.length > 0 ? [`missing: ${missing.join(', ')}`] : []),
    ...different,
    ...(unexpected.length > 0 ? [`unexpected: ${unexpected.join(', ')}`] : []),
  ];
  if (problems.length === 0) return;
  throw new XMoEError('checkpoint', `${where} does not fit the model: ${problems.join('; ')}`, {
    hint: 'load it with the configuration that it was saved with',
  });
}

/** One line per layer: which of its experts lack a tensor. */
function missingExperts(missing: readonly string[]): string[] {
  const byLayer = new Map<string, Set<number>>();
  for (const name of missing) {
    const match = ONE_EXPERT.exec(name);
    if (!match) continue;
    const experts = byLayer.get(match[1]!) ?? new Set();
    byLayer.set(match[1]!, experts.add(Number(match[2])));
  }
  return [...byLayer].map(([layer, experts]) => `missing experts of ${layer}: ${[...experts].sort((a, b) => a - b).join(', ')}`);
}

function describeDifference(
  expected: ExpectedTensor,
  got: { shape: readonly number[]; dtype: StoredDType },
): string[] {
  const { name, shape, dtype } = expected;
  const sameRest = shape.length === got.shape.length && shape.every((size, i) => i === 0 || size === got.shape[i]);
  if (EXPERTS.test(name) && shape.length > 1 && sameRest && shape[0] !== got.shape[0]) {
    return [`${name} holds ${got.shape[0]} experts, not ${shape[0]}`];
  }
  if (shape.length !== got.shape.length || !sameRest || shape[0] !== got.shape[0]) {
    return [`${name} has the shape [${got.shape.join(', ')}], not [${shape.join(', ')}]`];
  }
  return dtype === got.dtype ? [] : [`${name} is ${got.dtype}, not ${dtype}`];
}

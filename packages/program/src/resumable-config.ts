// What of its configuration a run may change when it goes on. Knows no key by itself.
import { XMoEError } from '@xmoe/core';
import type { z } from 'zod';

export interface ConfigChange {
  /** Dotted path. */
  key: string;
  /** As JSON text; undefined where the key is absent. */
  before: string | undefined;
  after: string | undefined;
}

/** The leaves in which two configurations differ. */
export function configChanges(saved: unknown, current: unknown): ConfigChange[] {
  const before = flatten(saved);
  const after = flatten(current);
  return [...new Set([...before.keys(), ...after.keys()])]
    .filter((key) => before.get(key) !== after.get(key))
    .map((key) => ({ key, before: before.get(key), after: after.get(key) }));
}

/**
 * Refuses to go on from a checkpoint under a configuration that would make it another run.
 * @param allowed keys by dotted path that may change
 */
export function refuseOtherConfig(saved: unknown, current: unknown, allowed: ReadonlySet<string>, where: string): void {
  const changed = configChanges(saved, current).filter(({ key }) => !allowed.has(key));
  if (changed.length === 0) return;
  const differences = changed.map(({ key, before, after }) => `${key} was ${before ?? 'absent'} and is now ${after ?? 'absent'}`);
  throw new XMoEError('config', `${where} belongs to another configuration: ${differences.join('; ')}`, {
    hint: 'leave these flags out to go on with the run, or start a new one in another --out',
  });
}

/** What an older version saved, with the defaults of the keys that it did not have: those are what it did. */
export function withDefaults(schema: z.ZodType, saved: unknown): unknown {
  const parsed = schema.safeParse(saved);
  return parsed.success ? parsed.data : saved;
}

/** Leaves of a JSON value by dotted path, as text. */
function flatten(value: unknown, path = '', out = new Map<string, string>()): Map<string, string> {
  if (typeof value !== 'object' || value === null) return out.set(path, JSON.stringify(value));
  for (const [key, item] of Object.entries(value)) flatten(item, path ? `${path}.${key}` : key, out);
  return out;
}

// An option that takes one of a few names: a misspelt one is refused with the nearest, and shells complete them.
import { nearestName } from '@xmoe/core';
import { InvalidArgumentError, Option } from 'commander';

export class NamedOption extends Option {
  constructor(flags: string, description: string, readonly names: readonly string[], fallback?: string) {
    super(flags, description);
    if (fallback !== undefined) this.default(fallback);
    this.argParser((given) => nameAmong(given, names));
  }
}

/** @throws InvalidArgumentError with the nearest of the names */
export function nameAmong(given: string, names: readonly string[]): string {
  if (names.includes(given)) return given;
  const near = nearestName(given, names);
  throw new InvalidArgumentError(near === undefined ? `It is one of ${names.join(', ')}.` : `Did you mean ${near}? It is one of ${names.join(', ')}.`);
}

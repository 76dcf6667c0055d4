// What a run needs of its splits, refused before the first step: a run that cannot be scored would fail at its first evaluation,
// or after its last step. It reads no pairs.
import { XMoEError } from '@xmoe/core';
import { longestSequence } from '@xmoe/models';
import type { ParallelDataset } from '@xmoe/text';
import type { Config } from './config.js';

const SCORED = ['validation', 'test'] as const;
const SIDES = ['source', 'target'] as const;

/** Refuses a configuration that leaves nothing to score, before any text is read. @throws XMoEError `config` */
export function checkHeldOut({ data }: Config): void {
  for (const name of SCORED) {
    if (data[`${name}Files`].length === 0 && data[`${name}Pairs`] === 0) nothingToScore(name);
  }
}

/** Refuses splits without pairs, or with one that the model cannot take as a whole. @throws XMoEError `config` naming the pair */
export function checkSplits(dataset: ParallelDataset, config: Config): void {
  const limit = longestSequence(config);
  const hint = config.model.positions === 'learned'
    ? 'raise model.contextLength, set model.positions=sinusoidal, or shorten the pair'
    : 'shorten the pair, or train with a larger data.maximumTokens';
  for (const name of SCORED) {
    const split = dataset.split(name);
    if (split.pairs === 0) nothingToScore(name);
    for (const side of SIDES) {
      const lengths = split[`${side}Lengths`];
      const tokens = lengths.reduce((most, length) => Math.max(most, length), 0);
      if (tokens <= limit) continue;
      const place = dataset.index.longest?.[name][side] ?? `pair ${lengths.indexOf(tokens)} of the ${name} split`;
      throw new XMoEError('config', `${place}: the ${side} has ${tokens} tokens, and the model takes ${limit} (${name} split)`, { hint });
    }
  }
}

function nothingToScore(name: (typeof SCORED)[number]): never {
  throw new XMoEError('config', `the ${name} split has no pairs: nothing could be scored`, { hint: `set data.${name}Pairs from 1, or give data.${name}Files` });
}

// Whether runs may stand in one table: scored on the same test data, as much of it, and each named once. Refuses by name.
import { realpathSync } from 'node:fs';
import { XMoEError } from '@xmoe/core';
import type { ComparedRun } from './read-runs.js';

/** @throws XMoEError `config` for a run that is named twice, also by another path */
export function refuseTwice(directories: readonly string[]): void {
  const seen = new Map<string, string>();
  for (const directory of directories) {
    let real = directory;
    try {
      real = realpathSync(directory);
    } catch {
      // what is not there is said when it is opened
    }
    const before = seen.get(real);
    if (before !== undefined) throw new XMoEError('config', `${directory} is named twice${before === directory ? '' : `: it is ${before}`}`, { hint: 'name each run once' });
    seen.set(real, directory);
  }
}

/**
 * Returns what cannot be known, as sentences.
 * @throws XMoEError `config` naming the runs whose test scores are of other data, or of another part of them, than those of the first
 */
export function checkComparable(runs: readonly ComparedRun[]): string[] {
  const [first, ...others] = runs;
  if (!first) return [];
  refuse(others.filter((run) => haveOtherTest(first, run)), first, 'have other test data than', 'compare runs of the same data; eval scores a run on a text that --data names');
  const scored = runs.filter((run) => run.without === undefined && run.scored !== undefined);
  const [measure] = scored;
  if (measure) {
    const otherwise = scored.filter((run) => run.scored !== measure.scored);
    refuse(otherwise, measure, `were scored on another part of the test data (${otherwise[0]?.scored}, not ${measure.scored}) than`, 'score them alike: train with the same number of test windows or pairs');
  }
  const unknown = runs.filter(({ identity }) => identity.all === undefined && identity.test === undefined);
  return unknown.length === 0 ? [] : [`Which test data these runs have cannot be seen any more, since their prepared data are gone: ${namesOf(unknown)}. They are taken for the same.`];
}

function haveOtherTest({ identity: a }: ComparedRun, { identity: b }: ComparedRun): boolean {
  if (a.test !== undefined && b.test !== undefined) return a.test !== b.test;
  return a.all !== undefined && b.all !== undefined && a.all !== b.all;
}

function refuse(runs: readonly ComparedRun[], than: ComparedRun, what: string, hint: string): void {
  if (runs.length > 0) throw new XMoEError('config', `${namesOf(runs)} ${what} ${than.directory}`, { hint });
}

const MOST_NAMED = 3;

/** `a, b, c and 5 more` */
export function namesOf(runs: readonly Pick<ComparedRun, 'directory'>[]): string {
  const names = runs.slice(0, MOST_NAMED).map(({ directory }) => directory).join(', ');
  return runs.length > MOST_NAMED ? `${names} and ${runs.length - MOST_NAMED} more` : names;
}

// The report of preparation as lines for a terminal. It computes nothing.
import { cleaningFilters, type CleaningFilter, type SplitName } from '@xmoe/text';
import type { PreparedParallel } from '@xmoe/text/node';

const splits: readonly SplitName[] = ['train', 'validation', 'test'];

/** What was read, what each filter dropped, and what is left. */
export function preparationSummary({ report, stages }: PreparedParallel): string[] {
  const { cleaning, leaks, malformed } = report;
  const row = (count: number, what: string) => `  ${String(count).padStart(9)}  ${what}`;
  const dropped = (Object.entries(cleaningFilters) as [CleaningFilter, string][])
    .filter(([name]) => cleaning.dropped[name] > 0)
    .map(([name, what]) => row(cleaning.dropped[name], `dropped: ${what}`));
  const lost: [number, string][] = [
    [malformed.count, malformed.count > 0 ? `rows left out, first ${malformed.first[0]!.place}: ${malformed.first[0]!.reason}` : ''],
    [leaks.equal, 'dropped: a side the same as in a held-out pair'],
    [leaks.near, 'dropped: a side nearly the same as in a held-out pair'],
    [report.tooLong, 'dropped: more tokens than the limit'],
  ];
  return [
    `Pairs ${report.languages.source}-${report.languages.target} of ${report.corpora.join(', ')}`,
    row(cleaning.read, 'read'),
    row(cleaning.normalised, 'of them brought to normal form'),
    ...dropped,
    ...lost.filter(([count]) => count > 0).map(([count, what]) => row(count, what)),
    ...splits.map((name) => row(report.splits[name].pairs - (name === 'train' ? report.tooLong : 0), describeSplit(name, report))),
    `Vocabulary of ${report.vocabularySize} tokens`,
    ...report.notes,
    ...stages.map(({ name, directory, reused }) => `${reused ? 'found' : 'made '} ${name}: ${directory}`),
  ];
}

function describeSplit(name: SplitName, { splits: reports, tokens }: PreparedParallel['report']): string {
  const { from, byKind } = reports[name];
  const kinds = Object.entries(byKind).filter(([kind]) => kind !== '').map(([kind, count]) => `${kind} ${count}`);
  const counted = `${tokens[name].source} + ${tokens[name].target} tokens`;
  return `${name}${name === 'train' ? '' : ` (${from})`}: ${counted}${kinds.length > 0 ? `; ${kinds.join(', ')}` : ''}`;
}

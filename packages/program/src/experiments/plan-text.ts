// What a plan would be, before anything runs: experiments, runs, cost. Text only.
import { formatCompact } from '@xmoe/train';
import { alignedFacts } from '../terminal.js';
import { wrapText } from '../wrap-text.js';
import type { PlannedRun } from './plan-runs.js';
import type { ExperimentSuite } from './suite.js';
import { isKnown, type Work } from './work.js';

export function flopsOfRuns(suite: Pick<ExperimentSuite, 'flopsOf'>, runs: readonly PlannedRun[]): number {
  return runs.reduce((sum, { config }) => sum + suite.flopsOf(config), 0);
}

export function planText(work: Work): string {
  const { suite, experiments, plan, seeds, folder, elsewhere, options } = work;
  const done = plan.filter((run) => isKnown(work, run));
  const used = plan.filter((run) => elsewhere.has(run.key)).length;
  const flops = (runs: readonly PlannedRun[]): number => flopsOfRuns(suite, runs);
  const rows = experiments.map(({ name, title, measurement }) => {
    const own = plan.filter(({ wantedBy }) => wantedBy.includes(name));
    const alone = own.filter(({ wantedBy }) => wantedBy.length === 1).length;
    const runs = own.length === 0 ? '' : `${own.length} runs${alone < own.length ? `, ${own.length - alone} of them shared` : ''}`;
    return [name, `${title} (${[runs, measurement ? 'a measurement' : ''].filter((part) => part !== '').join(', ')})`] as const;
  });
  return [
    alignedFacts(rows),
    '',
    alignedFacts([
      ['scale', options.scale],
      ['seeds', seeds.length === 1 ? '1, which says nothing of the spread' : String(seeds.length)],
      ['runs', `${plan.length} distinct, ${done.length} finished${done.length < plan.length ? `, ${options.jobs} at a time` : ''}`],
      ['FLOPs', `${formatCompact(flops(plan))}, ${formatCompact(flops(plan) - flops(done))} of them to do`],
      ...(options.results ? [['results', `${used} of the plan’s runs in ${options.results.join(', ')}${used < elsewhere.size ? `; ${elsewhere.size - used} there are of other plans` : ''}`] as const] : []),
      ['folder', folder],
    ]),
    ...suite.notes(options.scale, options).map((note) => wrapText(note, 100).replace(/^/gm, '  ')),
    '',
  ].join('\n');
}

// The files that experiments end with, report.html, report.json and results.jsonl, and the closing words: from whatever is finished, saying what is not.
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { replaceFile } from '@xmoe/files/node';
import { formatDuration } from '@xmoe/train';
import { alignedFacts, type Terminal } from '../terminal.js';
import { wrapText } from '../wrap-text.js';
import { collectResults, resultsOfPlan } from './collect-results.js';
import { measureExperiment, type MeasuredExperiment } from './experiment-tables.js';
import { measurementPath } from './make-runs.js';
import { planRuns } from './plan-runs.js';
import { renderExperiments } from './render-experiments.js';
import { addResults } from './results-file.js';
import { EXPERIMENT_FILES, failureOf, readObject, runDirectory } from './run-files.js';
import { isKnown, madeElsewhere, type Work } from './work.js';

/** @param seconds what the call took; null where it only reports */
export async function writeReport(terminal: Terminal, work: Work, seconds: number | null): Promise<void> {
  const { suite, experiments, plan, seeds, folder, elsewhere, options } = work;
  const results = collectResults(folder, seeds, suite, elsewhere);
  const rules = { quality: suite.quality, columns: suite.columns, seeds: seeds.length };
  const sections = experiments.map((experiment) => {
    const measured = experiment.measurement ? readObject(measurementPath(folder, experiment.measurement.name)) : experiment.derived?.measure(results);
    return {
      experiment: measureExperiment(experiment, results, rules, measured),
      columns: experiment.columns ? suite.columns.filter(({ key }) => experiment.columns!.includes(key)) : suite.columns,
      charts: experiment.charts?.(results) ?? [],
      shown: measured ? (experiment.measurement ?? experiment.derived)!.show(measured) : null,
    };
  });
  const warnings = [...missingText(work), ...suite.notes(options.scale, options), `Reported on ${machineText()}. Seconds are as good as the machine was quiet.`];
  const createdAt = new Date().toISOString();
  const done = plan.filter((run) => isKnown(work, run)).length;
  const facts = [['scale', options.scale], ['seeds', String(seeds.length)], ['runs', `${done} of ${plan.length}`], ['backend', options.backend ?? suite.backendOf(options.scale)]] as const;
  const command = `${suite.program} reproduce ${experiments.map(({ name }) => name).join(' ')} --scale ${options.scale} --seeds ${seeds.length}${options.maxSteps === undefined ? '' : ` --max-steps ${options.maxSteps}`}${options.data ? ` --data ${options.data.join(' ')}` : ''}`;
  const json = { command, createdAt, facts: Object.fromEntries(facts), warnings, quality: { ...suite.quality, inOtherWords: undefined }, columns: suite.columns, experiments: sections.map(({ experiment }) => experiment) };
  const [htmlPath, jsonPath, resultsPath] = [join(folder, EXPERIMENT_FILES.report), join(folder, EXPERIMENT_FILES.json), join(folder, EXPERIMENT_FILES.results)];
  await addResults(resultsPath, resultsOfPlan(folder, plan, suite, elsewhere));
  await replaceFile(jsonPath, `${JSON.stringify(json, null, 1)}\n`);
  await replaceFile(htmlPath, await renderExperiments({ title: `${suite.program} reproduce, scale ${options.scale}`, facts, warnings, quality: suite.quality, columns: suite.columns, sections, createdAt }));
  if (seconds !== null || options.reportOnly) terminal.result(json, closingText(sections.map(({ experiment }) => experiment), warnings, seconds, [['report', htmlPath], ['figures', jsonPath], ['results', resultsPath], ['runs', join(folder, EXPERIMENT_FILES.runs)]]));
}

/** What a reader must not overlook: runs that are not there, or gave nothing. */
function missingText(work: Work): string[] {
  const { suite, plan, experiments, folder, elsewhere, seeds } = work;
  const failures = plan.flatMap((run) => {
    const why = failureOf(runDirectory(folder, run.key)) ?? elsewhere.get(run.key)?.failure;
    return why === undefined ? [] : [`${run.key} has no result: ${why}`];
  });
  const missing = plan.filter((run) => !isKnown(work, run));
  const away = plan.filter((run) => madeElsewhere(work, run)).length;
  const byExperiment = experiments.flatMap((experiment) => {
    const own = planRuns([experiment], seeds, suite); // with its own evaluations alone
    const open = own.filter((run) => !isKnown(work, run)).length;
    return open === 0 ? [] : [`${experiment.name} ${open} of ${own.length}`];
  });
  return [
    ...(missing.length > 0 ? [`This report is not whole: ${missing.length} of ${plan.length} runs are missing (${byExperiment.join(', ')}). What rests on them says so.`] : []),
    ...(away > 0 ? [`${away} of ${plan.length} runs were made elsewhere: their figures are known, their weights are not here, and their seconds may be another machine’s: what rests on times compares machines too.`] : []),
    ...(seeds.length < 3 ? [`${seeds.length === 1 ? 'One seed says' : 'Two seeds say'} little: give --seeds 3 or more before a difference is believed.`] : []),
    ...failures,
  ];
}

function machineText(): string {
  const all = cpus();
  return `${all.length} × ${all[0]?.model.trim() ?? 'unknown'}, load ${loadavg()[0]!.toFixed(1)}`;
}

function closingText(experiments: readonly MeasuredExperiment[], warnings: readonly string[], seconds: number | null, files: readonly (readonly [string, string])[]): string {
  const judged = experiments.flatMap(({ title, claims }) => (claims.length === 0 ? [] : ['', title, ...claims.flatMap(({ claim, sentence }) => [
    wrapText(`“${claim}”`, 100).replace(/^/gm, '  '), wrapText(sentence, 100).replace(/^/gm, '    '),
  ])]));
  return [...judged, '', ...warnings.map((text) => wrapText(text, 100)), '', alignedFacts([...files, ...(seconds === null ? [] : [['time', formatDuration(seconds)] as const])]), ''].join('\n');
}

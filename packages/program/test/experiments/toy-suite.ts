// A suite of two tables over four arms, for tests: its runs are files that a stand-in for the program writes.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JsonObject } from '@xmoe/files';
import type { Arm, Experiment, Quality } from '../../src/experiments/experiment.js';
import type { ChildProgram } from '../../src/experiments/child-program.js';
import type { PlannedRun } from '../../src/experiments/plan-runs.js';
import { reproduceCommand } from '../../src/experiments/reproduce-command.js';
import { createPlanRunner } from '../../src/experiments/run-plan.js';
import type { ExperimentSuite, ReproduceOptions } from '../../src/experiments/suite.js';

export const arm = (name: string, value: number): Arm => ({ name, config: { train: { steps: 10 }, value } });

export const QUALITY: Quality = { key: 'loss', title: 'nats', meaning: '', digits: 3, lowerIsBetter: true, unit: 'nats' };

export function toyExperiments(): Experiment[] {
  const [a, b, c] = [arm('a', 3), arm('b', 2), arm('c', 1)];
  const row = (label: string, of: Arm, point = {}) => ({ label, arm: of, point });
  const rows = [row('A', a), row('B', b)];
  return [
    { name: 'one', title: 'Table <1>', question: 'Which?', groups: [{ title: 'g', rows, baseline: rows[0]! }], claims: [{ text: 'B is better', row: rows[1]!, than: rows[0]!, expect: 'better' }] },
    { name: 'two', title: 'Table 2', question: 'How?', groups: [{ title: 'h', rows: [row('B', b, { t: 1 }), row('C', c)] }, { title: 'late', rows: [row('A', a)] }], claims: [] },
  ];
}

export const toySuite: ExperimentSuite = {
  program: 'toy', scales: ['tiny', 'large'], names: ['one', 'two'], experiments: toyExperiments, backendOf: () => 'cpu', quality: QUALITY,
  columns: [{ key: 'seconds', title: 'seconds', meaning: 'time', digits: 1 }],
  flopsOf: () => 100, flopsPerToken: () => 1, trainingFigures: () => ({ seconds: 2 }), notes: () => ['Not the paper’s size.'],
};

/** Stands for the program: `train` writes the summary of a run, `sweep` prints figures. Tells of every command. */
export function standIn(told: string[], endsWith: (args: readonly string[]) => number = () => 0) {
  return (args: readonly string[]): ChildProgram => {
    told.push(args.join(' '));
    const code = endsWith(args);
    const valueOf = (flag: string): string => args[args.indexOf(flag) + 1]!;
    let output = '';
    if (code === 0 && args[0] === 'train') {
      const out = valueOf('--out');
      mkdirSync(out, { recursive: true });
      writeFileSync(join(out, 'summary.json'), '{}');
    }
    if (code === 0 && args[0] === 'sweep') {
      const points = JSON.parse(readFileSync(valueOf('--points'), 'utf8')) as JsonObject[];
      const seed = Number(/seed(\d+)/.exec(args[1]!)![1]);
      const base = { a: 3, b: 2, c: 1 }[/runs\/([abc])-/.exec(args[1]!)![1] as 'a'];
      output = JSON.stringify({ evaluations: points.map(() => ({ figures: { loss: base + seed / 10 } })) });
    }
    return { ended: Promise.resolve({ code, output, messages: code === 0 ? '' : `step 1\nerror: it ended badly\n  do this` }), stop: () => undefined };
  };
}

/** Makes the runs of a plan by the stand-in, in a folder that is then one of the toy suite; tells of every command. */
export async function finishToys(folder: string, plan: readonly PlannedRun[], told: string[] = []): Promise<void> {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'plan.json'), '{"program":"toy","scale":"tiny","data":null}');
  await createPlanRunner({ folder, jobs: 1, threads: 1, trainFlags: [], sweepFlags: [], stop: { requested: false }, start: standIn(told), onRun: () => undefined }).run(plan);
}

/** reproduce of the toy suite; resolves to all that it says. */
export async function reproduceToys(names: readonly string[], options: Partial<ReproduceOptions> & { readonly dataRoot: string }, suite: ExperimentSuite = toySuite): Promise<string> {
  let text = '';
  const stream = { write: (part: string) => void (text += part) };
  const nothing = (): void => undefined;
  const terminal = { output: stream, messages: stream, exitCode: 0, json: false, outliveReaders: nothing, resultElsewhere: nothing, result: (_: object, shown: string) => stream.write(shown) };
  await reproduceCommand(terminal, suite, names, { scale: 'tiny', seeds: 3, jobs: 1, ...options });
  return text;
}

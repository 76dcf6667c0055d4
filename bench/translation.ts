// `pnpm bench translation`: XMoE beside dense, Switch and top-k translation models at equal expert FLOPs, several seeds each. Trains
// them one after the other through the command line, as a user would; what is done is found again. Hours, not minutes.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { XMoEError } from '@xmoe/core';
import { fromOne, numberOf, readToolFlags, runTool } from '@xmoe/testing/programs';
import { describeEnvironment, environmentMarkdown } from './environment.js';
import { toMarkdown, type Column, type Row, type Table } from './table.js';

const HELP = `pnpm bench translation [options] [-- options of xmoe-nmt train]
  --seeds N        runs of each system (default: 3)
  --out DIR        where the runs are kept; those that are there are not trained again (default: runs/translation)
  --markdown FILE  also write the table as markdown
  --help           this text
All systems get the options behind --, for example: -- --source ru --max-steps 2000. The preset is tiny: the sizes below fit it.
`;

interface System {
  readonly name: string;
  readonly router: readonly string[];
  readonly experts?: { readonly count: number; readonly hidden: number; readonly capacityFactor: number };
}

/** Hidden size of the dense layer. */
const HIDDEN = 384;

/**
 * γ·s is the hidden size of the dense layer, and N·s = 3072. T of the budget ⌈γ·T⌉ counts padding, 16 % of the default batches, which
 * routers that want no more than γ experts per token never use: XMoE's γ is 4 less that.
 */
const SYSTEMS: readonly System[] = [
  { name: 'dense', router: ['--router', 'dense'] },
  { name: 'Switch', router: ['--router', 'switch'], experts: { count: 8, hidden: 384, capacityFactor: 1 } },
  { name: 'top-4', router: ['--router', 'topk', '--set', 'moe.router.k=4'], experts: { count: 32, hidden: 96, capacityFactor: 4 } },
  { name: 'XMoE', router: ['--router', 'threshold', '--threshold', '0.9'], experts: { count: 32, hidden: 96, capacityFactor: 3.35 } },
];

function flagsOf({ router, experts }: System): string[] {
  if (!experts) return [...router, '--hidden', `${HIDDEN}`];
  const { count, hidden, capacityFactor } = experts;
  return [...router, '--hidden', `${HIDDEN}`, '--experts', `${count}`, '--expert-hidden', `${hidden}`, '--capacity-factor', `${capacityFactor}`, '--dispatch', 'budget'];
}

/** Of a run's summary.json, what the table needs. */
interface Summary {
  readonly languages: string;
  readonly backend: string;
  readonly steps: number;
  readonly parameters: number;
  readonly trainPairs: number;
  readonly testPairs: number;
  readonly tokens: number;
  readonly bleu: number;
  readonly chrf: number;
  readonly testLoss: number;
  readonly tokensPerSecond: number;
  readonly expertsPerToken?: Readonly<Record<string, number>>;
  readonly budgetedFlops?: number;
  readonly executedFlops?: number;
  readonly beam: number;
}

const CLI = fileURLToPath(new URL('../apps/nmt/dist/cli.js', import.meta.url));

async function trained(directory: string, flags: readonly string[]): Promise<Summary> {
  const file = join(directory, 'summary.json');
  if (!existsSync(file)) {
    process.stderr.write(`\n${directory}\n`);
    const resume = existsSync(directory) ? ['--resume'] : [];
    const code = await new Promise<number | null>((resolve, reject) => {
      const child = spawn(process.execPath, [CLI, 'train', ...flags, '--out', directory, ...resume], { stdio: ['ignore', 'inherit', 'inherit'] });
      child.on('error', reject);
      child.on('close', resolve);
    });
    if (code !== 0) throw new XMoEError('data', `the run ${directory} ended with code ${code}`, { op: OP, hint: 'call it again: it goes on where it stopped' });
  }
  return JSON.parse(readFileSync(file, 'utf8')) as Summary;
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
/** Sample standard deviation. */
const deviation = (values: readonly number[]): number => Math.sqrt(values.reduce((sum, value) => sum + (value - mean(values)) ** 2, 0) / (values.length - 1));
const withSpread = (values: readonly number[]): string => `${mean(values).toFixed(2)}${values.length > 1 ? ` ± ${deviation(values).toFixed(2)}` : ''}`;

function rowOf({ name, experts }: System, runs: readonly Summary[]): Row {
  const of = (pick: (run: Summary) => number | undefined): number[] => runs.map(pick).filter((value) => value !== undefined);
  const perToken = experts ? (experts.capacityFactor * experts.hidden) / HIDDEN : 1;
  const executed = of(({ executedFlops, budgetedFlops }) => (executedFlops && budgetedFlops ? (perToken * executedFlops) / budgetedFlops : undefined));
  const taken = of(({ expertsPerToken }) => (experts && expertsPerToken ? mean(Object.values(expertsPerToken)) : undefined));
  return {
    name, experts: experts ? `${experts.count}×${experts.hidden}` : `1×${HIDDEN}`, parameters: (runs[0]!.parameters / 1e6).toFixed(2) + ' M', bleu: withSpread(of((run) => run.bleu)), chrf: withSpread(of((run) => run.chrf)),
    loss: withSpread(of((run) => run.testLoss)), ...(executed.length > 0 ? { executed: mean(executed) } : {}), ...(taken.length > 0 ? { taken: mean(taken) } : {}),
    speed: mean(of((run) => run.tokensPerSecond)),
  };
}

const COLUMNS: readonly Column[] = [
  { key: 'name', label: 'model' }, { key: 'experts', label: 'experts × size' }, { key: 'parameters', label: 'parameters' }, { key: 'bleu', label: 'BLEU' }, { key: 'chrf', label: 'chrF2++' },
  { key: 'loss', label: 'test loss' }, { key: 'executed', label: 'expert FLOPs / dense' }, { key: 'taken', label: 'experts per token' }, { key: 'speed', label: 'tokens/s', digits: 0 },
];

function tableOf(rows: readonly Row[], seeds: number, { languages, steps, tokens, trainPairs, testPairs, beam, backend }: Summary): Table {
  return {
    id: 'translation',
    title: `XMoE, top-k, Switch and dense at equal expert FLOPs, ${languages}`,
    note: `Preset tiny, ${trainPairs} pairs, ${steps} steps of ${Math.round(tokens / steps)} target tokens on ${backend}; ${testPairs} held-out pairs, beam ${beam}. Mean ± standard deviation over ${seeds} seeds. `
      + 'Expert FLOPs / dense: per real token in training. Experts per token: taken when translating, where nothing is dropped. '
      + 'Test loss: nats per target token.',
    columns: COLUMNS,
    rows,
  };
}

const OP = 'bench translation';
const FLAGS = { seeds: { type: 'string' }, out: { type: 'string' }, markdown: { type: 'string' }, help: { type: 'boolean', short: 'h' } } as const;

async function main(args: readonly string[]): Promise<void> {
  const divider = args.indexOf('--');
  const [own, passed] = divider < 0 ? [args, []] : [args.slice(0, divider), args.slice(divider + 1)];
  const values = readToolFlags(OP, own, FLAGS);
  if (values.help) return void process.stdout.write(HELP);
  const seeds = numberOf(OP, '--seeds', values.seeds ?? '3', 'a whole number from 1', fromOne);
  const environment = describeEnvironment({ backends: [], peers: [], absent: [] }, { quick: false, repeat: Infinity });
  const runs = new Map<System, Summary[]>(SYSTEMS.map((system) => [system, []]));
  // Seed by seed, so that what is there after a while is comparable.
  for (let seed = 1; seed <= seeds; seed++) {
    for (const system of SYSTEMS) {
      const directory = join(values.out ?? 'runs/translation', `${system.name}-${seed}`.toLowerCase());
      runs.get(system)!.push(await trained(directory, ['--preset', 'tiny', ...flagsOf(system), ...passed, '--seed', `${seed}`]));
    }
  }
  const table = tableOf([...runs].map(([system, summaries]) => rowOf(system, summaries)), seeds, runs.get(SYSTEMS[0]!)![0]!);
  const text = `${environmentMarkdown(environment)}\n${toMarkdown(table)}`;
  process.stdout.write(text);
  if (values.markdown) await writeFile(values.markdown, text);
}

await runTool(() => main(process.argv.slice(2)));

// `pnpm bench scaling`: step times of 323M, 556M and a 7B-class layout on 8 to 10,000 ranks, by the formula of distributed/step-model.ts from figures
// that were measured. For docs/distributed.md; it starts no ranks.
import { writeFile } from 'node:fs/promises';
import type { LanguageConfig } from '@xmoe/models';
import { loadLanguagePreset } from '@xmoe/models/presets';
import { numberOf, readToolFlags, runTool } from '@xmoe/testing/programs';
import { stepTime, type Rates } from './distributed/step-model.js';
import { toMarkdown, type Row, type Table } from './table.js';
import { vocabularyOf } from './train-step.js';

const HELP = `pnpm bench scaling [options]
  --gflops N       of a training step on one rank (default: 162, the 124M step on two threads)
  --gbits LIST     of the network of one rank, separated by commas (default: 1,100)
  --latency N      microseconds of a message (default: 30)
  --markdown FILE  also write the tables as markdown
  --help           this text
`;
const FLAGS = { gflops: { type: 'string' }, gbits: { type: 'string' }, latency: { type: 'string' }, markdown: { type: 'string' }, help: { type: 'boolean', short: 'h' } } as const;

const RANKS = [8, 64, 512, 4096, 10_000];
/** Measured on the CPU engine: AdamW of 124M in one pass, and a sum of two arrays by JavaScript. */
const [MEMORY, ADDITIONS] = [39e9, 0.8e9];
/** All: one micro-batch of 8 sequences of 1,024 tokens for each rank, so that the update grows with the ranks. */
const MICRO_BATCH = ['train.batchSize=8', 'model.contextLength=1024', 'train.precision=float32'];

const MODELS: readonly { readonly name: string; readonly preset: string; readonly set: readonly string[] }[] = [
  { name: '323M, 64×384', preset: '323m-xmoe-64x384', set: [] },
  { name: '556M, 64×512', preset: '556m-xmoe-64x512', set: [] },
  {
    name: '7B class, 64×2048', preset: '556m-xmoe-64x512',
    set: ['model.width=2048', 'model.heads=16', 'model.layers=24', 'model.hidden=8192', 'moe.every=2', 'moe.expertHidden=2048', 'moe.capacityFactor=4'],
  },
];
/** Ranks that hold the experts together. */
const GROUPS = [1, 8, 64];

/** A column for each number of ranks: seconds, and the share of them that is computing. */
function rowsOf(name: string, config: LanguageConfig, rates: Rates): Row[] {
  return GROUPS.map((experts): Row => {
    const cells = RANKS.filter((ranks) => ranks >= experts).map((ranks): [string, string] => {
      const { compute, total } = stepTime(config, vocabularyOf(config), { ranks, experts, perRank: 1, sharded: true }, rates);
      return [String(ranks), `${total.toFixed(1)} (${Math.round((100 * compute) / total)} %)`];
    });
    return { model: name, group: experts, ...Object.fromEntries(cells) };
  });
}

const positive = (value: number): boolean => Number.isFinite(value) && value > 0;

await runTool(async () => {
  const { gflops = '162', gbits = '1,100', latency = '30', markdown, help } = readToolFlags('bench', process.argv.slice(2), FLAGS);
  if (help) return void process.stdout.write(HELP);
  const number = (flag: string, text: string): number => numberOf('bench', flag, text, 'a number above 0', positive);
  const base = { flops: 1e9 * number('--gflops', gflops), latency: 1e-6 * number('--latency', latency), memory: MEMORY, additions: ADDITIONS };
  const tables = gbits.split(',').map((text): Table => {
    const rates = { ...base, network: (1e9 / 8) * number('--gbits', text) };
    return {
      id: `scaling ${text}`,
      title: `${text} Gbit/s`,
      note: `Seconds of an update with one micro-batch of 8×1,024 tokens per rank, optimiser over ranks: ${gflops} GFLOP/s per rank, ${latency} µs per message; in brackets the share that is computing. Group: ranks that hold the experts together.`,
      columns: [{ key: 'model', label: 'model' }, { key: 'group', label: 'group', digits: 0 }, ...RANKS.map((ranks) => ({ key: String(ranks), label: `${ranks} ranks` }))],
      rows: MODELS.flatMap(({ name, preset, set }) => rowsOf(name, loadLanguagePreset(preset, { set: [...MICRO_BATCH, ...set] }), rates)),
    };
  });
  const text = tables.map(toMarkdown).join('\n');
  process.stdout.write(text);
  if (markdown !== undefined) await writeFile(markdown, text);
});

// eval: perplexity of a trained run, with the capacity of training and with nothing dropped.
import { resolve } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { byFirst, oneGroup, type Comm } from '@xmoe/distributed';
import { createLanguageModelFromConfig, droplessLanguageConfig, expertsOverDense, routingReader } from '@xmoe/models';
import { hasThreshold } from '@xmoe/models/sections';
import type { SplitName } from '@xmoe/text';
import type { TokenDataset } from '@xmoe/text/node';
import type { LayerRouting } from '@xmoe/train';
import type { Config } from '../config.js';
import { evaluate, type EvaluationResult } from '../evaluate.js';
import { filledShare, hasExperts } from '../evaluation-points.js';
import { leakFreeBatchSize } from '../finish.js';
import { prepareData } from '../data.js';
import { fileTokenizer } from '../initial.js';
import { openRun, type TrainedRun } from '../session.js';
import { alignedFacts, requireSameRun, type Terminal } from '@xmoe/program';

interface EvalOptions {
  backend: string;
  checkpoint: string;
  split: SplitName;
  threshold?: number;
  capacityFactor?: number;
  batchSize?: number;
  maxWindows?: number | 'all';
  data?: string[];
  dataRoot: string;
  positive?: boolean;
}

/** On all ranks of `comm`, which share out the windows. */
export async function evalCommand(terminal: Terminal, directory: string, options: EvalOptions, comm: Comm): Promise<void> {
  const run = await openRun(directory, { ...options, onWarning: (message) => terminal.messages.write(`${message}\n`) });
  let other: TokenDataset | undefined;
  try {
    await requireSameRun(comm, run);
    const config = withRouting(run.record.config, options);
    const prepare = (): Promise<TokenDataset> => otherData(run, options, (message) => void terminal.messages.write(`${message}\n`));
    if (options.data) other = (await byFirst(comm, prepare)) ?? (await prepare()); // the others find what the first made
    else if (run.record.data === '') throw new XMoEError('data', 'the run has no data: its weights were not trained here', { hint: 'name text with --data' });
    const dataset = other ?? (await run.dataset());
    const split = dataset.split(options.split);
    const most = mostWindows(config, options);
    const windows = Math.ceil((split.length - 1) / config.model.contextLength);
    const score = async (evaluated: Config): Promise<Scored> => {
      const result = await evaluate({
        engine: run.device.engine,
        model: createLanguageModelFromConfig(evaluated, run.tokenizer.vocabularySize, { countPositive: options.positive === true }),
        parameters: run.parameters,
        split,
        tokenizer: run.tokenizer,
        batchSize: options.batchSize ?? (evaluated === config ? config.train.batchSize : leakFreeBatchSize(config)),
        computeDType: config.train.precision,
        summarizeTrace: routingReader(evaluated, 1),
        ranks: oneGroup(comm),
        ...(most === null ? {} : { maxWindows: most }),
      });
      return { ...result, expertsOverDense: expertsOverDense(evaluated, result.routing.filter(({ layer }) => hasExperts(evaluated, layer))) };
    };
    const withCapacity = await score(config);
    const dropless = config.moe ? await score(droplessLanguageConfig(config)) : withCapacity;
    const result = { checkpoint: run.checkpoint.path, split: options.split, backend: run.device.engine.backend.name, windows: Math.min(windows, most ?? windows), allWindows: windows, withCapacity, leakFree: dropless };
    terminal.result(result, evaluationText(config, result));
  } finally {
    other?.close();
    run.close();
  }
}

/** Text of --data, with the tokenizer of the run. */
async function otherData(run: TrainedRun, { data = [], dataRoot }: EvalOptions, notify: (message: string) => void): Promise<TokenDataset> {
  const { config } = run.record;
  const files = data.map((path) => resolve(path));
  const tokenizer = fileTokenizer(run.checkpoint.path, run.tokenizer);
  return (await prepareData({ ...config, data: { ...config.data, files, tokenizer } }, dataRoot, notify)).dataset;
}

/** As many windows as training scores of that split, so that the numbers are the same; null: all of them. */
function mostWindows({ train }: Config, { maxWindows, split }: EvalOptions): number | null {
  if (maxWindows !== undefined) return maxWindows === 'all' ? null : maxWindows;
  return { train: null, validation: train.evalWindows, test: train.testWindows }[split];
}

/** The configuration with another threshold or capacity factor. */
function withRouting(config: Config, { threshold, capacityFactor }: EvalOptions): Config {
  if (threshold === undefined && capacityFactor === undefined) return config;
  if (!config.moe) throw new XMoEError('config', 'the run is dense: it has no threshold and no capacity', { hint: 'leave --threshold and --capacity-factor out' });
  if (threshold !== undefined && !hasThreshold(config.moe.router)) {
    throw new XMoEError('config', `the run uses the ${config.moe.router.type} router, which has no threshold`, { hint: 'leave --threshold out' });
  }
  if (threshold !== undefined && (threshold < 0 || threshold > 1)) throw new XMoEError('value', `the threshold is ${threshold}`, { hint: 'pass a number from 0 to 1' });
  if (capacityFactor !== undefined && capacityFactor <= 0) throw new XMoEError('value', `the capacity factor is ${capacityFactor}`, { hint: 'pass a number above 0' });
  const router = (threshold === undefined ? config.moe.router : { ...config.moe.router, threshold }) as typeof config.moe.router;
  return { ...config, moe: { ...config.moe, ...(threshold === undefined ? {} : { thresholds: null }), router, capacityFactor: capacityFactor ?? config.moe.capacityFactor } };
}

/** With what its experts multiplied, relative to dense layers. */
type Scored = EvaluationResult & { expertsOverDense: number | null };

interface EvaluationReport {
  checkpoint: string;
  split: string;
  backend: string;
  /** Scored, and those that the split has. */
  windows: number;
  allWindows: number;
  withCapacity: Scored;
  leakFree: Scored;
}

function evaluationText(config: Config, { checkpoint, split, windows, allWindows, withCapacity, leakFree: dropless }: EvaluationReport): string {
  const cost = (share: number | null): string => (share === null ? '' : `, experts ${share.toFixed(2)}× dense FLOPs`);
  const line = ({ perplexity, bitsPerByte, tokens, expertsOverDense: share }: Scored): string =>
    `perplexity ${perplexity.toFixed(3)}, ${bitsPerByte.toFixed(4)} bits per byte, ${tokens} tokens${cost(share)}`;
  const routing = ({ routing: layers }: EvaluationResult, evaluated = config) =>
    layers.map(({ layer, summary }) => [`  ${layer}`, [...(hasExperts(config, layer) ? [`${summary.expertsPerToken.toFixed(3)} experts per token`, `${(100 * summary.dropRate).toFixed(2)} % dropped`] : ['dense']), ...positiveTexts(evaluated, summary)].join(', ')] as const);
  const rows = config.moe
    ? [[`${config.moe.dispatch}, γ = ${config.moe.capacityFactor}`, line(withCapacity)] as const, ...routing(withCapacity), ['grouped, nothing dropped', line(dropless)] as const, ...routing(dropless, droplessLanguageConfig(config))]
    : [['dense', line(withCapacity)] as const, ...routing(withCapacity)];
  const note = config.moe && config.moe.dispatch !== 'grouped' ? 'With capacity, later tokens can push earlier ones out; nothing leaks when nothing is dropped.\n' : '';
  const part = windows < allWindows ? `, the first ${windows} of ${allWindows} windows (--max-windows all scores them all)` : '';
  return `${split} split${part}, ${checkpoint}\n${alignedFacts(rows)}\n${note}`;
}

/** Shares of hidden units above 0, where they were counted. */
function positiveTexts(config: Config, summary: LayerRouting): string[] {
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
  const filled = filledShare(config, summary);
  return summary.positiveShare === undefined ? [] : [`${percent(summary.positiveShare)} of hidden units positive${filled === undefined ? '' : ` (${percent(filled)} with empty room as zeros)`}`];
}

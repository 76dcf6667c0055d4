// What a finished run shows: test perplexity beside n-gram models, a sample, summary.json and the HTML report.
import { join } from 'node:path';
import type { Parameters } from '@xmoe/core';
import { ngramBaselines, readMetrics, renderReport, replaceFile, type LayerRouting, type NgramBaselines } from '@xmoe/train';
import type { Config } from './config.js';
import { evaluate, type EvaluationResult } from './evaluate.js';
import { DEFAULT_SAMPLING, generate } from './generate.js';
import { buildModel, modelSize } from './model.js';
import { routingReader } from './routing-summary.js';
import { RUN_FILES } from './session.js';
import type { TrainedModel } from './train-run.js';
import { runReportData } from './run-report.js';

/** summary.json. Perplexities are per token of the tokenizer, over the test split. */
export interface Summary {
  preset: string;
  backend: string;
  router: string;
  dispatch: string | null;
  steps: number;
  tokens: number;
  parameters: number;
  /** With the dispatch and capacity of training. */
  testPerplexity: number;
  bitsPerByte: number;
  /** Dropless: no token can push another out, so nothing leaks from later tokens. */
  leakFreeTestPerplexity: number;
  leakFreeBitsPerByte: number;
  unigramPerplexity: number;
  bigramPerplexity: number;
  unigramBitsPerByte: number;
  bigramBitsPerByte: number;
  tokensPerSecond: number;
  trainingSeconds: number;
  /** By layer with experts, on the test split. */
  expertsPerToken: Record<string, number>;
  dropRate: Record<string, number>;
  /** Of the expert layers, over the whole run, forward and backward. */
  budgetedFlops: number;
  executedFlops: number;
  sample: string;
}

export interface Finished {
  summary: Summary;
  reportPath: string;
  summaryPath: string;
}

const SAMPLE_PROMPT = 'The ';

/** A configuration whose experts drop nothing. */
export function leakFree(config: Config): Config {
  return config.moe ? { ...config, moe: { ...config.moe, dispatch: 'grouped' } } : config;
}

/** Scores the test split, samples, and writes summary.json and report.html. */
export async function finishRun(trained: TrainedModel): Promise<Finished> {
  const { request, data, model, parameters, outcome, device } = trained;
  const { config } = request;
  const vocabulary = data.tokenizer.vocabularySize;
  const baselines = ngramBaselines(data.dataset.split('train'), data.dataset.split('test'), vocabulary);
  const scored = await scoreTest(trained, config);
  const dropless = config.moe ? await scoreTest(trained, leakFree(config)) : scored;
  const sample = await sampleText(trained);
  const summary: Summary = {
    preset: request.preset,
    backend: device.engine.backend.name,
    router: config.moe?.router.type ?? 'dense',
    dispatch: config.moe?.dispatch ?? null,
    steps: outcome.step,
    tokens: outcome.targets,
    parameters: modelSize(config, model, vocabulary).parameters,
    testPerplexity: scored.perplexity,
    bitsPerByte: scored.bitsPerByte,
    leakFreeTestPerplexity: dropless.perplexity,
    leakFreeBitsPerByte: dropless.bitsPerByte,
    ...baselineNumbers(baselines),
    tokensPerSecond: outcome.targets / outcome.seconds,
    trainingSeconds: outcome.seconds,
    expertsPerToken: byLayer(scored, (routing) => routing.expertsPerToken),
    dropRate: byLayer(scored, (routing) => routing.dropRate),
    budgetedFlops: outcome.budgetedFlops,
    executedFlops: outcome.executedFlops,
    sample,
  };
  const summaryPath = join(request.out, RUN_FILES.summary);
  await replaceFile(summaryPath, `${JSON.stringify(summary, null, 2)}\n`);
  const reportPath = join(request.out, RUN_FILES.report);
  const rows = readMetrics(join(request.out, 'metrics.jsonl'));
  await replaceFile(reportPath, await renderReport(runReportData(summary, config, rows, SAMPLE_PROMPT)));
  return { summary, reportPath, summaryPath };

  function scoreTest(run: TrainedModel, evaluated: Config): Promise<EvaluationResult> {
    return evaluate({
      engine: run.device.engine,
      model: evaluated === config ? model : buildModel(run.device.engine, evaluated, vocabulary),
      parameters,
      split: data.dataset.split('test'),
      batchSize: config.train.batchSize,
      computeDType: config.train.precision,
      summarizeTrace: routingReader(evaluated, 1),
    });
  }
}

function baselineNumbers(baselines: NgramBaselines) {
  const { unigramPerplexity, bigramPerplexity, unigramBitsPerByte, bigramBitsPerByte } = baselines;
  return { unigramPerplexity, bigramPerplexity, unigramBitsPerByte, bigramBitsPerByte };
}

function byLayer(result: EvaluationResult, pick: (routing: LayerRouting) => number): Record<string, number> {
  return Object.fromEntries(result.routing.map(({ layer, summary }) => [layer, pick(summary)]));
}

async function sampleText({ request, device, data, parameters }: TrainedModel): Promise<string> {
  const { config } = request;
  const { engine } = device;
  const model = buildModel(engine, leakFree(config), data.tokenizer.vocabularySize);
  const tokens: number[] = [];
  for await (const token of generate(engine, model, parameters as Parameters, data.tokenizer, SAMPLE_PROMPT, DEFAULT_SAMPLING, config.train.precision)) tokens.push(token);
  return SAMPLE_PROMPT + data.tokenizer.decode(tokens);
}

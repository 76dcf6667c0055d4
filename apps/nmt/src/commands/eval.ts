// eval: BLEU and chrF2++ of a run or of a file of translations, by kind of pair, and the paired bootstrap against another one.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { oneGroup, type Comm } from '@xmoe/distributed';
import { pairedBootstrap, type BootstrapScore } from '@xmoe/metrics';
import { replaceFile } from '@xmoe/files/node';
import { translateTexts } from '@xmoe/models';
import { alignedFacts, progressLine, requireSameRun, RUN_FILES, type Terminal } from '@xmoe/program';
import { metricsOf, readTokenizerName, scoreTranslations, type Scores } from '../scores.js';
import { pairsOfFiles, pairsOfRun, translationsOfFile, type ScoredPairs } from '../scored-pairs.js';
import { openRun, type TrainedRun } from '../session.js';
import { sharedBy } from '../validate.js';

interface EvalOptions {
  backend: string;
  checkpoint: string;
  split: string;
  beam?: number;
  lengthPenalty?: number;
  threshold?: number;
  maxPairs?: number;
  pairs?: string[];
  hypotheses?: string;
  references?: string;
  against?: string;
  tokenize?: string;
  language: string;
  samples: number;
  save?: string;
}

/** On all ranks of `comm`, which share out the translations. */
export async function evalCommand(terminal: Terminal, directory: string | undefined, options: EvalOptions, comm: Comm): Promise<void> {
  checkSubject(directory, options);
  const { pairs, hypotheses, language } = await subjectOf(terminal, directory, options, comm);
  const others = options.against === undefined ? null : await othersOf(terminal, pairs, options, comm);
  if (comm.rank !== 0) return terminal.resultElsewhere();
  const tokenizer = readTokenizerName(options.tokenize, language);
  for (const note of pairs.notes) terminal.messages.write(`${note}\n`);
  if (options.save !== undefined) await replaceFile(options.save, hypotheses.map((line) => `${line}\n`).join(''));
  const scores = scoreTranslations(hypotheses, pairs.references, tokenizer);
  const byKind = kindsOf(pairs).map((kind) => ({ kind, pairs: pairs.kinds.filter((other) => other === kind).length, scores: scoresOfKind(kind, pairs, hypotheses, tokenizer) }));
  const compared = others === null ? null : comparison(others, hypotheses, pairs, tokenizer, options.samples);
  const result = { name: pairs.name, pairs: hypotheses.length, ...scores, byKind, against: compared };
  terminal.result(result, resultText(result));
}

function checkSubject(directory: string | undefined, { hypotheses, references, pairs }: EvalOptions): void {
  const fail = (problem: string, hint: string): never => {
    throw new XMoEError('config', problem, { hint });
  };
  if ((directory === undefined) === (hypotheses === undefined)) fail('eval needs a run or --hypotheses, and not both', 'name a run directory, or files of translations and references');
  if ((hypotheses === undefined) !== (references === undefined)) fail('--hypotheses and --references belong together', 'name both files');
  if (hypotheses !== undefined && pairs !== undefined) fail('--pairs is translated by a run', 'leave it out, or name a run');
}

interface Subject {
  pairs: ScoredPairs;
  hypotheses: string[];
  /** Target language. */
  language: string;
}

/** What is scored: a file, or what a run makes of its own or of other pairs. */
async function subjectOf(terminal: Terminal, directory: string | undefined, options: EvalOptions, comm: Comm): Promise<Subject> {
  const { hypotheses: file, references, language, maxPairs } = options;
  if (directory === undefined) {
    const { hypotheses, pairs } = await translationsOfFile(file!, references!, maxPairs);
    return { hypotheses, pairs, language };
  }
  const run = await openRun(directory, { ...options, onWarning: (message) => terminal.messages.write(`${message}\n`) });
  try {
    const pairs = options.pairs === undefined ? await pairsOfRun(run, options.split, maxPairs) : await pairsOfFiles(options.pairs, run.languages, maxPairs);
    return { pairs, hypotheses: await translateAll(terminal, run, pairs, options, comm), language: run.languages.target };
  } finally {
    run.close();
  }
}

/** The translations of --against: of another run for the same sources, or of another file. */
async function othersOf(terminal: Terminal, pairs: ScoredPairs, options: EvalOptions, comm: Comm): Promise<string[]> {
  const against = options.against!;
  if (!existsSync(join(against, RUN_FILES.config))) {
    if (options.references === undefined) throw new XMoEError('config', `${against} holds no run`, { hint: 'name another run directory; files are compared with --hypotheses and --references' });
    return (await translationsOfFile(against, options.references, options.maxPairs)).hypotheses;
  }
  if (options.hypotheses !== undefined) throw new XMoEError('config', `${against} is a run, and there are no sources to translate`, { hint: 'compare a file with a file, or a run with a run' });
  const run = await openRun(against, { ...options, checkpoint: 'best', threshold: undefined, onWarning: (message) => terminal.messages.write(`${message}\n`) });
  try {
    return await translateAll(terminal, run, pairs, options, comm);
  } finally {
    run.close();
  }
}

async function translateAll(terminal: Terminal, run: TrainedRun, { sources, places }: ScoredPairs, { beam, lengthPenalty }: EvalOptions, comm: Comm): Promise<string[]> {
  await requireSameRun(comm, run);
  const { config } = run.record;
  const decoding = { ...config.decoding, beam: beam ?? config.decoding.beam, lengthPenalty: lengthPenalty ?? config.decoding.lengthPenalty };
  const line = progressLine(terminal.messages, `Translating ${sources.length} sentences with ${run.checkpoint.path}`);
  const translated = await translateTexts(run.lines, sources, { ...decoding, onProgress: line.update, ...sharedBy(oneGroup(comm)) }, (index) => places[index]!);
  line.done();
  return translated!; // nothing stops it
}

const kindsOf = ({ kinds }: ScoredPairs): string[] => [...new Set(kinds)].sort();

function scoresOfKind(kind: string, { kinds, references }: ScoredPairs, hypotheses: readonly string[], tokenizer: Parameters<typeof scoreTranslations>[2]): Scores {
  const own = kinds.flatMap((other, index) => (other === kind ? [index] : []));
  return scoreTranslations(own.map((index) => hypotheses[index]!), own.map((index) => references[index]!), tokenizer);
}

interface Compared {
  metric: string;
  /** Without a p-value when the translations are identical: there is no difference to test. */
  own: BootstrapScore & { pValue: number | null };
  other: BootstrapScore;
  signature: string;
}

/** By metric. The other one is the baseline. Resampling identical translations gives the smallest p-value there is, which says nothing. */
function comparison(others: readonly string[], hypotheses: readonly string[], { references }: ScoredPairs, tokenizer: Parameters<typeof metricsOf>[0], samples: number): Compared[] {
  const identical = hypotheses.every((line, index) => line === others[index]);
  return metricsOf(tokenizer).map(([metric, measure]) => {
    const { baseline, systems, signature } = pairedBootstrap(measure, others, { own: hypotheses }, references, { samples });
    return { metric, own: identical ? { ...systems[0]!, pValue: null } : systems[0]!, other: baseline, signature };
  });
}

interface Result extends Scores {
  name: string;
  pairs: number;
  byKind: { kind: string; pairs: number; scores: Scores }[];
  against: Compared[] | null;
}

function resultText({ name, pairs, bleu, chrf, byKind, against }: Result): string {
  const numbers = (scores: Scores): string => `BLEU ${scores.bleu.score.toFixed(2)}, chrF2++ ${scores.chrf.score.toFixed(2)}`;
  const withInterval = ({ score, mean, interval }: BootstrapScore): string => `${score.toFixed(2)} (${mean.toFixed(2)} ± ${interval.toFixed(2)})`;
  return `${[
    `${name}, ${pairs} pairs`,
    alignedFacts([['BLEU', `${bleu.score.toFixed(2)}  ${bleu.signature}`], ['chrF2++', `${chrf.score.toFixed(2)}  ${chrf.signature}`]]),
    ...(byKind.length > 1 ? [alignedFacts(byKind.map(({ kind, pairs: count, scores }) => [kind || 'no kind', `${count} pairs: ${numbers(scores)}`]))] : []),
    ...(against ? ['Against the other system, paired bootstrap with 95 % intervals', alignedFacts(against.map(({ metric, own, other, signature }) => [
      metric, `${withInterval(own)} and ${withInterval(other)}, ${own.pValue === null ? 'the translations are identical' : `p = ${own.pValue.toFixed(4)}`}  ${signature}`,
    ]))] : []),
  ].join('\n')}\n`;
}

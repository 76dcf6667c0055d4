// The closing lines of a run: what it learned beside the n-gram models, what routing did, and where everything is.
import { formatCompact, formatDuration, formatShare } from '@xmoe/train';
import { alignedFacts, printable, wrapText } from '@xmoe/program';
import type { ExpertsInUse, ExpertsUsed, FinishedRun, Summary, TestScores } from './finish.js';

const perplexityWithBits = (perplexity: number, bits: number): string => `${perplexity.toFixed(2).padStart(8)}  ${bits.toFixed(3)} bits per byte`;

/** What `start` and `train` print at the end. */
export function closingText({ summary, reportPath, summaryPath }: FinishedRun, checkpoints: string): string {
  return [
    '',
    `Trained ${summary.steps} ${summary.steps === 1 ? 'step' : 'steps'} on ${formatCompact(summary.tokens)} tokens in ${formatDuration(summary.trainingSeconds)} (${formatCompact(summary.tokensPerSecond)} tokens/s, ${summary.backend})`,
    ...(summary.skippedUpdates > 0 ? [`${summary.skippedUpdates} of the updates were skipped: their gradient was not finite`] : []),
    '',
    ...(isScored(summary) ? testText(summary) : ['No test perplexity: the data have no test split (data.testFraction is 0)', '']),
    'Sample',
    wrapText(printable(summary.sample), 88).replace(/^/gm, '  '),
    '',
    alignedFacts([
      ['report', reportPath],
      ['summary', summaryPath],
      ['checkpoints', checkpoints],
    ]),
    '',
  ].join('\n');
}

const isScored = (summary: Summary): summary is Summary & TestScores => summary.testPerplexity !== undefined;

/** Scores beside those of the n-gram models, and routing. */
function testText(summary: Summary & TestScores): string[] {
  const layers = Object.entries(summary.expertsPerToken).map(
    ([layer, experts]) => [`layer ${layer}`, `${experts.toFixed(2)} experts per token, ${formatShare(summary.dropRate[layer] ?? 0)} of claims dropped`] as const,
  );
  return [
    `Test perplexity per token, over ${summary.testTokens.toLocaleString('en')} held-out tokens`,
    alignedFacts([
      ['unigram model', perplexityWithBits(summary.unigramPerplexity, summary.unigramBitsPerByte)],
      ['bigram model', perplexityWithBits(summary.bigramPerplexity, summary.bigramBitsPerByte)],
      [`this model (${summary.router})`, perplexityWithBits(summary.testPerplexity, summary.bitsPerByte) + (typeof summary.experts?.room === 'number' ? '; with capacity: later tokens leak in' : '')],
      ...(layers.length > 0 ? [['  same, nothing dropped', perplexityWithBits(summary.leakFreeTestPerplexity, summary.leakFreeBitsPerByte)] as const] : []),
    ]),
    '',
    ...(layers.length > 0 ? ['Routing on the test split', alignedFacts(layers), ''] : []),
    ...(summary.experts ? [expertsText(summary.experts), ''] : []),
  ];
}

/** What the experts did in training and on the test, side by side: equal budgets are not equal costs. */
function expertsText({ room, training, withCapacity, leakFree }: ExpertsInUse): string {
  const line = (used: ExpertsUsed, place: number | null): string =>
    [used.wanted.toFixed(2), used.kept.toFixed(2), place === null ? 'no limit' : place.toFixed(2), used.executedOverDense.toFixed(2)].map((text) => text.padStart(8)).join('  ');
  return alignedFacts([
    ['Experts per token', ['wanted', 'kept', 'room', 'FLOPs / dense'].map((text) => text.padStart(8)).join('  ')],
    ...(training ? [['training, at the end', line(training, room)] as const] : []),
    ...(room === null ? [] : [['test, with capacity', line(withCapacity, room)] as const]),
    ['test, nothing dropped', line(leakFree, null)],
  ]);
}

// The terminal as commands see it, and text for it: the closing lines of a run, tables of facts, errors. No ANSI codes.
import { isXMoEError } from '@xmoe/core';
import { formatCompact, formatDuration, type ProgressStream } from '@xmoe/train';
import type { Finished } from './finish.js';

/** Where a command writes, and how it ends. */
export interface Terminal {
  /** Results. */
  output: ProgressStream;
  /** Progress and errors. */
  messages: ProgressStream;
  /** A command raises it to end with something else than 0. */
  exitCode: number;
}

/** Text that a model made, without control characters that would drive the terminal. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '\ufffd');
}

/** `label  value` lines with the values aligned. */
export function facts(entries: readonly (readonly [string, string])[]): string {
  const width = Math.max(...entries.map(([label]) => label.length));
  return entries.map(([label, value]) => `  ${label.padEnd(width)}  ${value}`).join('\n');
}

const perplexityWithBits = (perplexity: number, bits: number): string => `${perplexity.toFixed(2).padStart(8)}  ${bits.toFixed(3)} bits per byte`;

/** What `start` and `train` print at the end. */
export function closingText({ summary, reportPath, summaryPath }: Finished, checkpoints: string): string {
  const layers = Object.entries(summary.expertsPerToken).map(
    ([layer, experts]) => [layer, `${experts.toFixed(2)} experts per token, ${(100 * (summary.dropRate[layer] ?? 0)).toFixed(1)} % of claims dropped`] as const,
  );
  return [
    '',
    `Trained ${summary.steps} steps on ${formatCompact(summary.tokens)} tokens in ${formatDuration(summary.trainingSeconds)} (${formatCompact(summary.tokensPerSecond)} tokens/s, ${summary.backend})`,
    '',
    `Test perplexity per token, over ${summary.testTokens} held-out tokens`,
    facts([
      ['unigram model', perplexityWithBits(summary.unigramPerplexity, summary.unigramBitsPerByte)],
      ['bigram model', perplexityWithBits(summary.bigramPerplexity, summary.bigramBitsPerByte)],
      [`this model (${summary.router})`, perplexityWithBits(summary.testPerplexity, summary.bitsPerByte)],
      ...(layers.length > 0 ? [['  nothing dropped', perplexityWithBits(summary.leakFreeTestPerplexity, summary.leakFreeBitsPerByte)] as const] : []),
    ]),
    '',
    ...(layers.length > 0 ? ['Routing on the test split', facts(layers), ''] : []),
    'Sample',
    printable(summary.sample).replace(/^/gm, '  '),
    '',
    facts([
      ['report', reportPath],
      ['summary', summaryPath],
      ['checkpoints', checkpoints],
    ]),
    '',
  ].join('\n');
}

/** An error as one line and its hint. Unexpected errors keep their stack: they are bugs. */
export function errorText(error: unknown): string {
  if (isXMoEError(error)) return `error: ${error.message}${error.hint ? `\n  ${error.hint}` : ''}`;
  if (!(error instanceof Error)) return `unexpected error: ${String(error)}`;
  // What the system refuses (a full disk, no permission) is no bug: Node's message names the path.
  const fromSystem = 'syscall' in error && 'code' in error;
  return fromSystem ? `error: ${error.message}` : `unexpected error: ${error.stack ?? error.message}`;
}

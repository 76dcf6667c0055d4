// The closing lines of a run: scores beside the baselines, sample translations, what routing did, and where everything is.
import { formatCompact, formatDuration, formatShare } from '@xmoe/train';
import { alignedFacts, printable, wrapText } from '@xmoe/program';
import type { FinishedRun, SystemScores } from './finish.js';

/** What `demo` and `train` print at the end. */
export function closingText({ summary, reportPath, summaryPath }: FinishedRun, checkpoints: string): string {
  const layers = Object.entries(summary.expertsPerToken).map(([layer, experts]) => {
    const dropped = summary.dropRate[layer];
    return [layer, `${experts.toFixed(2)} experts per token${dropped === undefined ? '' : `; in training ${formatShare(dropped)} of claims dropped`}`] as const;
  });
  const row = ({ name, bleu, chrf }: SystemScores) => [name, `${bleu.toFixed(2).padStart(6)}  ${chrf.toFixed(2).padStart(7)}`] as const;
  return [
    '',
    `Trained ${summary.steps} ${summary.steps === 1 ? 'step' : 'steps'}${summary.stoppedEarly ? ' (no better for a while)' : ''} on ${formatCompact(summary.tokens)} target tokens in ${formatDuration(summary.trainingSeconds)} (${formatCompact(summary.tokensPerSecond)} tokens/s, ${summary.backend})`,
    ...(summary.skippedUpdates > 0 ? [`${summary.skippedUpdates} of the updates were skipped: their gradient was not finite`] : []),
    '',
    `Test scores ${summary.languages}, ${summary.testPairs.toLocaleString('en')} held-out pairs, beam ${summary.beam}, ${summary.checkpoint}`,
    alignedFacts([
      ['', `${'BLEU'.padStart(6)}  ${'chrF2++'.padStart(7)}`],
      ...summary.baselines.map(row),
      row({ ...summary, name: `this model (${summary.router})` }),
    ]),
    `  ${summary.bleuSignature}`,
    `  ${summary.chrfSignature}`,
    '',
    ...(layers.length > 0 ? ['Routing of the test pairs', alignedFacts(layers), ''] : []),
    'Samples, not chosen by quality: source, translation, reference',
    ...summary.samples.flatMap(({ source, translation, reference }) => [
      indented('  ', source), indented('  → ', translation), indented('  = ', reference), '',
    ]),
    alignedFacts([
      ['report', reportPath],
      ['summary', summaryPath],
      ['checkpoints', checkpoints],
    ]),
    '',
  ].join('\n');
}

/** The text wrapped, its lines below each other. */
function indented(lead: string, text: string): string {
  return wrapText(printable(text), 96).split('\n').map((line, index) => `${index === 0 ? lead : ' '.repeat(lead.length)}${line}`).join('\n');
}

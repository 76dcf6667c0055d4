// inspect: the sentence of a run whose routing is shown with that of its translation, and how they are routed.
import { XMoEError } from '@xmoe/core';
import { decode } from '@xmoe/models';
import { alignedFacts, printable, tokenRoutingText, type Inspected } from '@xmoe/program';
import { routeSentence } from '../route-sentence.js';
import type { TrainedRun } from '../session.js';

/** Routes `text`, or the source of the first test pair, and its best translation. */
export async function inspectSentence(run: TrainedRun, text: string | undefined): Promise<Inspected> {
  const { record: { config }, tokenizer, tokens, translator, device, model, parameters } = run;
  const source = await sourceOf(run, text);
  const [best] = (await translator.translate([source], config.decoding))[0]!;
  const router = { engine: device.engine, model, parameters, tokenizer, tokens, computeDType: config.train.precision };
  const routed = await routeSentence(router, source.subarray(0, -1), best!.tokens);
  const texts = [routed.source, routed.target].filter(({ layers }) => layers.length > 0);
  const both = alignedFacts([['source', printable(tokenizer.decode(source.subarray(0, -1)))], ['translation', printable(decode(tokenizer, best!.tokens))]]);
  return { texts, text: `${[both, ...texts.map(tokenRoutingText)].join('\n\n')}\n` };
}

/** The sentence, or the source of the first test pair: ended token ids. */
async function sourceOf(run: TrainedRun, text: string | undefined): Promise<Int32Array> {
  const { lines, refused } = run.lines.read([text ?? (await run.dataset()).text('test', 0).source], 1, () => 'the text');
  if (refused) throw refused;
  const [first, ...others] = lines[0]!.parts;
  if (first === undefined) throw new XMoEError('value', 'the text is empty', { op: 'inspect', hint: 'pass --text with at least one character' });
  if (others.length > 0) throw new XMoEError('value', `the text is translated in ${others.length + 1} parts`, { op: 'inspect', hint: 'pass --text with one of its sentences' });
  return first;
}

// inspect: the text of a run whose routing is shown, and how it is routed.
import { XMoEError } from '@xmoe/core';
import { tokenRoutingText, type Inspected } from '@xmoe/program';
import { routeText } from '../inspect.js';
import type { TrainedRun } from '../session.js';

/** Routes `text`, or the beginning of the test split. */
export async function inspectText(run: TrainedRun, text: string | undefined): Promise<Inspected> {
  const texts = await routeText(run, text === undefined ? await testTokens(run) : run.tokenizer.encode(text));
  return { texts, text: tokenRoutingText(texts) };
}

/** The first window of the test split. */
async function testTokens(run: TrainedRun): Promise<Int32Array> {
  const split = (await run.dataset()).split('test');
  if (split.length === 0) throw new XMoEError('data', 'the run has no test split to take a text from', { hint: 'give one with --text' });
  const out = new Int32Array(Math.min(split.length, run.model.config.contextLength));
  split.read(0, out.length, out);
  return out;
}

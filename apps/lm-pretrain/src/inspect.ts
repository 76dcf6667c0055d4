// Routes one text through a trained model and collects every token's experts by layer.
import { collectTensors, XMoEError, type ForwardContext } from '@xmoe/core';
import { tokenTexts } from '@xmoe/text';
import { readTokenRouting, type InspectedText, type TokenRouting } from '@xmoe/program';
import type { TrainedRun } from './session.js';

/** Runs windows of the context length over `tokens`, with the routing of training. */
export async function routeText(run: TrainedRun, tokens: ArrayLike<number>): Promise<InspectedText> {
  if (tokens.length === 0) throw new XMoEError('value', 'the text is empty', { op: 'inspect', hint: 'pass --text with at least one character' });
  const { contextLength } = run.model.config;
  const ids = Array.from(tokens);
  const layers = new Map<string, { name: string; experts: number; perToken: TokenRouting[] }>();
  for (let start = 0; start < ids.length; start += contextLength) {
    const window = ids.slice(start, start + contextLength);
    for (const { layer, trace } of await routeWindow(run, window)) {
      const entry = layers.get(layer) ?? { name: layer, experts: trace.experts, perToken: [] };
      for (const token of trace.perToken) entry.perToken.push(token);
      layers.set(layer, entry);
    }
  }
  return { tokens: tokenTexts(run.tokenizer, ids), layers: [...layers.values()] };
}

async function routeWindow(run: TrainedRun, window: readonly number[]) {
  const { engine } = run.device;
  const traces = engine.scope(() => {
    const context: ForwardContext = { training: false, key: null, computeDType: run.record.config.train.precision, tokenIds: null, mask: null, collect: 'tokens' };
    const inputs = engine.tensor(Int32Array.from(window));
    return run.model.hidden(run.parameters, inputs, { batch: 1, length: window.length }, context).traces;
  });
  const out = [];
  for (const { layer, trace } of traces) out.push({ layer, trace: { experts: trace.experts, perToken: await readTokenRouting(trace.perToken!, window.length, trace.experts) } });
  for (const tensor of collectTensors(traces)) tensor.dispose();
  return out;
}

// Routes one text through a trained model and collects every token's experts by layer.
import { collectTensors, XMoEError, type ForwardContext } from '@xmoe/core';
import type { TokenTrace } from '@xmoe/moe';
import type { TrainedRun } from './session.js';

export interface TokenRouting {
  /** Expert ids in rank order. */
  experts: number[];
  /** Those among them that capacity dropped. */
  dropped: number[];
  /** Probability of each, in the same order; empty for routers without one. */
  probabilities: number[];
}

export interface InspectedText {
  /** Text of each token. */
  tokens: string[];
  layers: { name: string; experts: number; perToken: TokenRouting[] }[];
}

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
      entry.perToken.push(...trace.perToken);
      layers.set(layer, entry);
    }
  }
  return { tokens: ids.map((id) => run.tokenizer.decode([id])), layers: [...layers.values()] };
}

async function routeWindow(run: TrainedRun, window: readonly number[]) {
  const { engine } = run.device;
  const traces = engine.scope(() => {
    const context: ForwardContext = { training: false, key: null, computeDType: run.record.config.train.precision, tokenIds: null, mask: null, collect: 'tokens' };
    const inputs = engine.tensor(Int32Array.from(window));
    return run.model.hidden(run.parameters, inputs, { batch: 1, length: window.length }, context).traces;
  });
  const out = [];
  for (const { layer, trace } of traces) out.push({ layer, trace: { experts: trace.experts, perToken: await readTokens(trace.perToken!, window.length, trace.experts) } });
  for (const tensor of collectTensors(traces)) tensor.dispose();
  return out;
}

async function readTokens(trace: TokenTrace, tokens: number, experts: number): Promise<TokenRouting[]> {
  const [ids, counts, rows] = [await trace.expertIds.data(), await trace.counts.data(), await trace.claimRow.data()];
  const probabilities = trace.probabilities ? await trace.probabilities.data() : null;
  const choices = ids.length / tokens;
  return Array.from({ length: tokens }, (_, token) => {
    const places = Array.from({ length: counts[token]! }, (_, rank) => token * choices + rank);
    return {
      experts: places.map((place) => ids[place]!),
      dropped: places.filter((place) => rows[place]! < 0).map((place) => ids[place]!),
      probabilities: probabilities ? places.map((place) => probabilities[token * experts + ids[place]!]!) : [],
    };
  });
}

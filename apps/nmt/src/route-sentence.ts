// Which experts the tokens of a sentence take: of a source in the encoder, and of its translation in the decoder. With nothing
// dropped, as when translating.
import { collectTensors, type Engine, type FloatDType, type ForwardContext, type Parameters } from '@xmoe/core';
import type { RoutingTrace } from '@xmoe/moe';
import { uploadBatch, type XMoETranslator } from '@xmoe/models';
import type { LayerTrace } from '@xmoe/nn';
import { collatePairs, tokenTexts, type BytePairTokenizer } from '@xmoe/text';
import type { TranslationTokens } from '@xmoe/text';
import type { RoutedWord } from '@xmoe/program/report';
import { readTokenRouting, type InspectedText } from '@xmoe/program';

export interface SentenceRouter {
  engine: Engine;
  /** Of the dropless configuration. */
  model: XMoETranslator;
  parameters: Parameters;
  tokenizer: BytePairTokenizer;
  tokens: TranslationTokens;
  computeDType: FloatDType;
}

export interface RoutedSentence {
  source: InspectedText;
  /** What the decoder reads: the translation after the begin of sentence. */
  target: InspectedText;
}

/** Routes a source and a target, token ids without the end of sentence. */
export async function routeSentence(router: SentenceRouter, source: ArrayLike<number>, target: ArrayLike<number>): Promise<RoutedSentence> {
  const { engine, model, parameters, tokens, tokenizer } = router;
  const context: ForwardContext = { training: false, key: null, computeDType: router.computeDType, tokenIds: null, mask: null, collect: 'tokens' };
  const ended = (ids: ArrayLike<number>): Int32Array => Int32Array.from([...Array.from(ids), tokens.endOfSentence]);
  const batch = uploadBatch(engine, collatePairs([{ source: ended(source), target: ended(target) }], tokens), model.config.vocabularySize);
  const { encoder, decoder } = engine.scope(() => {
    const memory = model.encode(parameters, batch.source, context);
    return { encoder: memory.traces, decoder: model.decode(parameters, batch.target, batch.source, memory.x, context).traces };
  });
  try {
    return {
      source: { tokens: tokenTexts(tokenizer, source), layers: await layersOf(encoder, source.length + 1, 0) },
      target: { tokens: tokenTexts(tokenizer, target), layers: await layersOf(decoder, target.length + 1, 1) },
    };
  } finally {
    for (const tensor of collectTensors([encoder, decoder, batch])) tensor.dispose();
  }
}

/** The routing of all but one position: the last or, from 1, the first. */
async function layersOf(traces: readonly LayerTrace<RoutingTrace>[], positions: number, from: 0 | 1): Promise<InspectedText['layers']> {
  const layers: InspectedText['layers'] = [];
  for (const { layer, trace } of traces) {
    const perToken = await readTokenRouting(trace.perToken!, positions, trace.experts);
    layers.push({ name: layer, experts: trace.experts, perToken: perToken.slice(from, from + positions - 1) });
  }
  return layers;
}

/** Tokens joined to words: a word begins at white space. In text without any, every token is a word, or as many as a character takes. */
export function wordsOf({ tokens, layers }: InspectedText): RoutedWord[] {
  const spaced = tokens.some((token) => /\s/.test(token));
  const words: { from: number; to: number }[] = [];
  tokens.forEach((token, index) => {
    const joined = tokens[index - 1] === '' || (spaced && !/^\s/.test(token));
    if (words.length > 0 && joined) words.at(-1)!.to = index + 1;
    else words.push({ from: index, to: index + 1 });
  });
  return words.map(({ from, to }) => ({
    text: tokens.slice(from, to).join('').trim(),
    layers: layers.map(({ name, perToken }) => ({ name, experts: perToken.slice(from, to).map(({ experts }) => experts) })),
  })).filter(({ text }) => text !== '');
}

// export: weights as a Hugging Face folder, with a card that says how the run ended.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { isPlainObject, parseJson } from '@xmoe/files';
import { modelCard, type CardFigure } from '@xmoe/models';
import { openWeights, writeHuggingFaceFolder, type LanguageWeights } from '@xmoe/models/node';
import { alignedFacts, RUN_FILES, type Terminal } from '@xmoe/program';
import { formatCompact } from '@xmoe/train';
import type { Summary } from '../finish.js';

interface ExportOptions {
  checkpoint: string;
  dtype: (typeof DTYPES)[number];
  title?: string;
}

export const DTYPES = ['float32', 'float16'] as const;

export async function exportCommand(terminal: Terminal, source: string, folder: string, { checkpoint, dtype, title }: ExportOptions): Promise<void> {
  const weights = await openWeights(source, { checkpoint, onWarning: (message) => terminal.messages.write(`${message}\n`) });
  const { model, moe, tokenizer } = weights;
  const card = modelCard({
    model, moe, vocabularySize: tokenizer.vocabularySize, title: title ?? basename(resolve(folder)), trainedOn: trainedOn(weights), figures: await figuresOf(source),
  });
  await writeHuggingFaceFolder(folder, { model, moe, tokenizer, tensors: await weights.tensors(), card, dtype });
  const loaded = moe ? `AutoModelForCausalLM.from_pretrained(${JSON.stringify(folder)}, trust_remote_code=True)` : `GPT2LMHeadModel.from_pretrained(${JSON.stringify(folder)})`;
  terminal.result({ weights: weights.where, folder, dtype, inPython: loaded }, `${alignedFacts([['weights', weights.where], ['folder', folder], ['in Python', loaded]])}\n`);
}

/** Names of files, not where they were. */
function trainedOn({ run }: LanguageWeights): string | undefined {
  if (!run) return undefined;
  const { corpus, files } = run.data;
  if (files.length === 0) return { sotu: 'State of the Union addresses', brown: 'the Brown corpus', 'sotu+brown': 'State of the Union addresses and the Brown corpus' }[corpus];
  return files.map((file) => `\`${basename(file).replaceAll('`', '')}\``).join(', ');
}

/** What the summary of a finished run says; nothing of what has none. */
async function figuresOf(source: string): Promise<CardFigure[]> {
  const path = join(source, RUN_FILES.summary);
  if (!existsSync(path)) return [];
  const value = parseJson(await readFile(path, 'utf8'), { where: path });
  if (!isPlainObject(value)) return [];
  const summary = value as unknown as Partial<Summary>;
  const { leakFreeTestPerplexity: perplexity, leakFreeBitsPerByte: bits, testTokens, unigramPerplexity, bigramPerplexity, steps, tokens, expertsPerToken = {} } = summary;
  const number = (name: string, figure: number | undefined, digits: number): CardFigure[] => (figure === undefined ? [] : [[name, figure.toFixed(digits)]]);
  return [
    ...number(`perplexity per token (${formatCompact(testTokens ?? 0)} tokens)`, perplexity, 2),
    ...number('bits per byte', bits, 4),
    ...number('perplexity of a unigram model', unigramPerplexity, 2),
    ...number('perplexity of a bigram model', bigramPerplexity, 2),
    ...Object.entries(expertsPerToken).map(([layer, count]): CardFigure => [`experts per token, layer ${layer}`, count.toFixed(2)]),
    ...(steps === undefined || tokens === undefined ? [] : [['trained for', `${steps} steps, ${formatCompact(tokens)} tokens`] as const]),
  ];
}

// convert: every dense layer of a model as experts (section 3.6), as a run. With all experts it is the same model. Training its router is in
// learn-router.ts.
import { join, resolve } from 'node:path';
import { openBackend } from '@xmoe/backends';
import { createEngine, foldIn, hostPermutation, randomKey, XMoEError } from '@xmoe/core';
import { coActivationOrder, createLanguageModelFromConfig, fitWeights, hiddenActivations, type UnitOrders } from '@xmoe/models';
import type { LanguageWeights } from '@xmoe/models/node';
import { alignedFacts, refuseExistingRun, writeWeightsRun, type Terminal } from '@xmoe/program';
import { openShards, type TokenDataset } from '@xmoe/text/node';
import type { JsonObject } from '@xmoe/files';
import { loadParameters, type StoredTensor } from '@xmoe/train';
import { configs, PROGRAM, type Config } from '../config.js';
import { prepareData } from '../data.js';
import { dataOf, fileTokenizer, openInitial } from '../initial.js';
import { learnRouter, readLesson, type LearnOptions } from '../learn-router.js';

interface ConvertOptions extends LearnOptions {
  experts: number;
  out: string;
  by: (typeof WAYS)[number];
  every: number;
  seed: number;
  tokens: number;
  data?: string[];
  dataRoot: string;
  backend: string;
}

/** Where in a run that is trained at once the model lies that it began with. */
const SPLIT = 'split';

export const WAYS = ['order', 'random', 'co-activation'] as const;

export async function convertCommand(terminal: Terminal, source: string, options: ConvertOptions): Promise<void> {
  const { by } = options;
  const lesson = readLesson(options);
  if (lesson) refuseExistingRun(options.out);
  const { weights, initial } = await openInitial(source, { presetGiven: false });
  if (weights.moe) throw new XMoEError('config', `${source} has experts already`, { hint: 'convert a dense model' });
  const configure = (preset: JsonObject): JsonObject => ({ ...initial.configure(preset), moe: expertsOf(weights, options) });
  const config = await configs.resolve({ preset: 'tiny', configure });
  if (lesson) await configs.resolve({ preset: 'tiny', configure, set: [...lesson.set] }); // what is wrong with it is said before anything is written
  const dense = await weights.tensors();
  const orders = by === 'order' ? new Map() : by === 'random' ? randomOrders(config, options.seed) : await activeOrders(terminal, source, weights, dense, config, options);
  const tensors = fitWeights(dense, weights, config, orders);
  const record = { program: PROGRAM, preset: 'converted', backend: options.backend, data: await dataOf(weights, source), config, initial: await initial.record() };
  const out = lesson ? join(options.out, SPLIT) : options.out;
  const checkpoint = await writeWeightsRun(out, { record, tensors, tokenizer: weights.tokenizer });
  const { experts, expertHidden, every } = config.moe!;
  const text = `${alignedFacts([
    ['weights', initial.text],
    ['experts', `${experts} of ${expertHidden} units in ${every === 1 ? 'every layer' : `layers ${every}, ${2 * every}, …`}, by ${by}; with all of them the model is the dense one`],
    ['checkpoint', checkpoint],
    ...(lesson ? [] : [['go on', `train --init-from ${out}, or convert with --train router or --train all: which experts a token needs has to be learned`] as const]),
  ])}\n`;
  if (!lesson) return terminal.result({ run: out, checkpoint, weights: await initial.record(), experts, expertHidden, every, by }, text);
  terminal.output.write(text);
  await learnRouter(terminal, out, lesson, options); // its result is that of a training
}

/** All experts for each token: what equals the dense model. */
function expertsOf({ model: { hidden, layers } }: LanguageWeights, { experts, every }: ConvertOptions) {
  if (hidden % experts !== 0) throw new XMoEError('config', `${experts} experts do not divide the hidden size ${hidden}`, { hint: 'choose a number of experts that divides it' });
  if (every > layers) throw new XMoEError('config', `--every ${every} exceeds the ${layers} layers: none would have experts`, { hint: 'lower --every' });
  return { every, experts, expertHidden: hidden / experts, router: { type: 'threshold', threshold: 1 }, dispatch: 'grouped', capacityFactor: experts, balanceCoefficient: 0 };
}

function randomOrders({ model: { layers, hidden } }: Config, seed: number): UnitOrders {
  return new Map(Array.from({ length: layers }, (_, index) => [`h.${index}`, hostPermutation(foldIn(foldIn(randomKey(seed), 'convert'), index), hidden)]));
}

/** By what a text activates: that of --data, or that of the run. */
async function activeOrders(terminal: Terminal, source: string, weights: LanguageWeights, dense: readonly StoredTensor[], { moe, ...config }: Config, options: ConvertOptions): Promise<UnitOrders> {
  const dataset = await textOf(terminal, source, weights, { ...config, moe: null }, options);
  const { backend, reason } = await openBackend(options.backend);
  const engine = createEngine(backend);
  terminal.messages.write(`Backend: ${reason}\n`);
  try {
    const split = dataset.split('train');
    const tokens = new Int32Array(Math.min(options.tokens, split.length));
    split.read(0, tokens.length, tokens);
    if (tokens.length === 0) throw new XMoEError('data', 'the text has no training split to look at', { hint: 'name another with --data' });
    const specs = createLanguageModelFromConfig({ ...config, moe: null }, weights.tokenizer.vocabularySize).parameters;
    const parameters = Object.fromEntries(specs.map(({ name, shape }) => [name, engine.zeros(shape).keep()]));
    loadParameters(parameters, specs, dense, weights.where);
    const active = await hiddenActivations(engine, config.model, parameters, tokens);
    return new Map([...active].map(([layer, rows]) => [layer, coActivationOrder(rows, { units: config.model.hidden, experts: moe!.experts })]));
  } finally {
    engine.dispose();
    dataset.close();
  }
}

async function textOf(terminal: Terminal, source: string, weights: LanguageWeights, config: Config, { data, dataRoot }: ConvertOptions): Promise<TokenDataset> {
  if (data) {
    const files = data.map((path) => resolve(path));
    const { dataset } = await prepareData({ ...config, data: { ...config.data, files, tokenizer: fileTokenizer(weights.where, weights.tokenizer) } }, dataRoot, (message) => void terminal.messages.write(`${message}\n`));
    return dataset;
  }
  const prepared = await dataOf(weights, source);
  if (prepared === '') throw new XMoEError('config', 'there is no text whose activations could be looked at', { hint: 'name some with --data' });
  return openShards(prepared);
}

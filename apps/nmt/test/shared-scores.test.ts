// Ranks that share out what a run is scored by: losses and translations are those of one process, to the bit, and a stop on one is one on all.
import { createCpuBackend } from '@xmoe/backend-cpu';
import { createEngine, initializeParameters, randomKey } from '@xmoe/core';
import { oneGroup, type Comm } from '@xmoe/distributed';
import { createLineTranslator, createTranslationModelFromConfig, createTranslator, droplessTranslationConfig, routingReader, sourceLimits } from '@xmoe/models';
import { createCommTeam } from '@xmoe/testing';
import { afterAll, expect, it } from 'vitest';
import { configs } from '../src/config.js';
import { prepareData } from '../src/prepare-data.js';
import { referenceLoss, sharedBy, translatePairs, type TranslatedPairs } from '../src/validate.js';
import { smallPairs, temporaryFolder, writePairs } from './support.js';

const path = temporaryFolder();
const pairs = smallPairs(340);
const config = await configs.resolve({
  preset: 'tiny',
  flags: { 'vocabulary-size': '340', 'validation-pairs': '10', 'near-duplicate': '1', width: '16', heads: '2', hidden: '32', 'expert-hidden': '8' },
  set: ['data.maximumTokens=48', `data.files=["${writePairs(path('train.tsv'), pairs.slice(0, 300))}"]`, `data.testFiles=["${writePairs(path('test.tsv'), pairs.slice(300))}"]`],
});
const { dataset } = await prepareData(config.data, path('data'));
const engine = createEngine(createCpuBackend());
afterAll(() => {
  dataset.close();
  engine.dispose();
});
const { tokenizer, tokens, languages } = dataset;
const model = createTranslationModelFromConfig(droplessTranslationConfig(config), tokenizer.vocabularySize);
const parameters = initializeParameters(engine, model.parameters, randomKey(1));
const lines = createLineTranslator({ translator: createTranslator({ engine, config, model, parameters, tokens }), tokenizer, tokens, languages, limits: sourceLimits(config) });

const loss = (comm: Comm): ReturnType<typeof referenceLoss> => referenceLoss({
  engine, model, parameters, dataset, split: 'train', computeDType: 'float32', summarizeTrace: routingReader(config, 1), ranks: oneGroup(comm),
});
/** A wide beam, so that few lines make several batches. */
const translated = (comm: Comm, stopped?: () => boolean): Promise<TranslatedPairs | null> => translatePairs({
  lines, dataset, split: 'test', pairs: null, beam: 40, lengthPenalty: 1, maxLengthRatio: 0, maxLengthExtra: 2, ...sharedBy(oneGroup(comm)), ...(stopped ? { stopped } : {}),
});

it('three ranks find what one process does, to the bit', async () => {
  const [[alone], team] = [createCommTeam(1), createCommTeam(3)];
  const [wantedLoss, wanted] = [await loss(alone!), await translated(alone!)];
  expect(wanted!.hypotheses.some((text) => text !== '')).toBe(true);
  for (const found of await Promise.all(team.map(loss))) expect(found).toEqual(wantedLoss);
  for (const found of await Promise.all(team.map((comm) => translated(comm)))) expect(found).toEqual(wanted);
});

it('a stop on one rank, in the middle of a batch, ends the translation on all of them', async () => {
  let asked = 0;
  const found = await Promise.all(createCommTeam(2).map((comm) => translated(comm, () => comm.rank === 1 && ++asked > 2)));
  expect(found).toEqual([null, null]);
});

// A translation model in code: a preset made small, trained on eight pairs until it knows them, then beam search. Real data and
// checkpoints are what xmoe-nmt adds. Run it with: node examples/translate.mjs
import { openBackend } from '@xmoe/backends';
import { createEngine, foldIn, initializeParameters, randomKey, valueAndGrad } from '@xmoe/core';
import { createTranslationModelFromConfig, createTranslator, decode, droplessTranslationConfig, uploadBatch } from '@xmoe/models';
import { loadTranslationPreset } from '@xmoe/models/presets';
import { createAdamW } from '@xmoe/nn';
import { BEGIN_OF_SENTENCE, collatePairs, PADDING, trainBpe, translationTokensOf } from '@xmoe/text';

const PAIRS = [
  ['das Haus ist rot', 'the house is red'], ['das Schiff ist alt', 'the ship is old'], ['der Baum ist rot', 'the tree is red'], ['der Baum ist alt', 'the tree is old'],
  ['das Haus ist alt', 'the house is old'], ['das Schiff ist neu', 'the ship is new'], ['der Baum ist neu', 'the tree is new'], ['das Haus ist neu', 'the house is new'],
];
const config = loadTranslationPreset('tiny', {
  set: ['model.width=32', 'model.heads=2', 'model.hidden=64', 'model.encoderLayers=2', 'model.decoderLayers=1', 'model.dropout=0', 'moe.experts=4', 'moe.expertHidden=32'],
});
const tokenizer = trainBpe(PAIRS.flat(), { vocabularySize: 300, specialTokens: [PADDING, BEGIN_OF_SENTENCE] });
const tokens = translationTokensOf(tokenizer);
const encode = (text) => Int32Array.from([...tokenizer.encode(text), tokens.endOfSentence]);

const { backend } = await openBackend();
const engine = createEngine(backend);
const model = createTranslationModelFromConfig(config, tokenizer.vocabularySize);
const parameters = initializeParameters(engine, model.parameters, randomKey(1));
const adam = createAdamW(engine, model.parameters, { beta1: 0.9, beta2: 0.98, epsilon: 1e-8, weightDecay: 0, clipNorm: 1 });
const batch = uploadBatch(engine, collatePairs(PAIRS.map(([source, target]) => ({ source: encode(source), target: encode(target) })), tokens), tokenizer.vocabularySize);
for (let step = 1; step <= 80; step++) {
  engine.scope(() => {
    const context = { training: true, key: engine.key(foldIn(randomKey(2), step)), computeDType: 'float32', tokenIds: null, mask: null, collect: 'nothing' };
    const { gradients } = valueAndGrad(engine, (weights) => model.loss(weights, batch, context), parameters);
    adam.step(parameters, gradients, { learningRate: 0.01, step });
  });
}

const dropless = droplessTranslationConfig(config); // nothing is dropped where every token counts
const translator = createTranslator({ engine, config: dropless, model: createTranslationModelFromConfig(dropless, tokenizer.vocabularySize), parameters, tokens });
const [[best]] = await translator.translate([encode('das Schiff ist alt')], { ...config.decoding, beam: 3 });
console.log(decode(tokenizer, best.tokens));
engine.dispose();

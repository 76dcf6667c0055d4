// The public surface of @xmoe/nn.
export { createBeam, type BeamSettings, type Continuations, type LiveHypothesis, type Beam } from './decoding/beam.js';
export { beamSearch, type BeamSearchOptions } from './decoding/beam-search.js';
export { continueTexts, type GeneratingModel, type ContinuationOptions } from './decoding/continue-texts.js';
export { rowPicker, pickKeyValues, disposeState, type DecoderState, type RowSelection } from './decoding/decoder-state.js';
export { openDecoding, decodingContext, type DecodedModel, type DecodingSession } from './decoding/decoding-session.js';
export { maximumLengths, checkLimits, type Hypothesis, type DecodingLimits, type LengthRule } from './decoding/hypothesis.js';
export { selectPrefixes, prefixMask, extendMask, type PrefixState } from './decoding/prefix-state.js';
export { sampleSequences, type SampleOptions } from './decoding/sample-sequences.js';
export { sampleToken, checkSampling, type TokenSampling } from './decoding/sampling.js';
export { openTextPool, type TextPool } from './decoding/text-pool.js';
export {
  checkHeads, selfAttentionParameters, selfAttention, extendSelfAttention, crossAttentionParameters, crossAttention, crossKeyValues,
  attendMemory, type AttentionConfig, type BatchShape, type KeyValues,
} from './layers/attention.js';
export { dropoutAt } from './layers/dropout.js';
export { createDenseFeedForward, type DenseFeedForwardConfig } from './layers/feed-forward.js';
export {
  linearParameters, linear, embeddingParameters, embedding, layerNormParameters, normalize, type LinearOptions,
} from './layers/linear.js';
export {
  createTransformerLayer, type TransformerLayerConfig, type TransformerLayerInput, type LayerStepInput, type LayerStepResult,
  type TransformerLayer, type LayerResult,
} from './layers/transformer-layer.js';
export {
  createEncoderDecoder, type EncoderDecoderConfig, type TranslationBatch, type SequenceBatch, type EncoderDecoder, type Side,
} from './models/encoder-decoder.js';
export { checkIds } from './models/ids.js';
export {
  createLanguageModel, type LanguageModelConfig, type LanguageModelBatch, type LanguageModel, type HiddenStates, type TokenLosses,
} from './models/language-model.js';
export { combineLosses, type LossOptions, type ModelLoss } from './models/loss.js';
export { learnedPositions, sinusoidalPositions, sinusoids, addPositions, type Positions } from './models/positions.js';
export { readPrefixes, readNext, type PrefixBatch, type DecodedPosition, type PrefixParts } from './models/prefix-decoding.js';
export { applyStack, extendStack, type LayerTrace, type StackResult } from './models/stack.js';
export { isFiniteNorm, LARGEST_NORM, createAdamW, globalNorm, type AdamWConfig, type StepInput, type AdamW } from './optimizers/adamw.js';
export { DEFAULT_LOSS_SCALE, nextLossScale, type LossScaleState, type LossScaleConfig } from './optimizers/loss-scale.js';
export { learningRateAt, type ScheduleConfig } from './optimizers/schedules.js';

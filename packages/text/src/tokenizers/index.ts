// Public exports of the tokenizers.
export * from './tokenizer.js';
export {
  createBytePairTokenizer,
  type BytePairDefinition,
  type BytePairTokenizer,
} from './byte-pair-tokenizer.js';
export * from './gpt2.js';
export * from './token-texts.js';
export * from './train-bpe.js';
export * from './tokenizer-json.js';
export * from './load-tokenizer.js';

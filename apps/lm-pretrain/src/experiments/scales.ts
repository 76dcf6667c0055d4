// The sizes at which experiments are made, as data: two sizes of model and two corpora each, and how long a run is. `tiny` and `small` train
// on text that comes with the program; `gpu` and `paper` on the paper's corpora, which the user brings.
import type { JsonObject } from '@xmoe/files';

export interface ModelSize {
  readonly title: string;
  /** The size of the paper that it stands for. */
  readonly standsFor: '323M' | '556M';
  readonly model: JsonObject & { readonly width: number; readonly hidden: number };
}

export interface Corpus {
  /** For tables and the names of runs. */
  readonly title: string;
  readonly standsFor: 'OpenWebText' | 'WikiText-103';
  readonly data: JsonObject;
  /** Of `train`, where runs on this corpus are of another length. */
  readonly train?: JsonObject;
}

export interface Scale {
  readonly name: string;
  readonly backend: string;
  /** Of the first size, and of the others. */
  readonly sizes: readonly [ModelSize, ...ModelSize[]];
  readonly corpora: readonly [Corpus, ...Corpus[]];
  /** Sizes beyond the first, and all routers beside each other, are trained on the first corpus alone. */
  readonly fewer: boolean;
  /** MoE in layers every, 2·every, … */
  readonly every: number;
  readonly train: JsonObject;
}

const SOTU: Corpus = { title: 'State of the Union', standsFor: 'OpenWebText', data: { corpus: 'sotu' } };
const BROWN: Corpus = { title: 'Brown', standsFor: 'WikiText-103', data: { corpus: 'brown' } };
const OPENWEBTEXT: Corpus = { title: 'OpenWebText', standsFor: 'OpenWebText', data: { files: ['data/openwebtext'], tokenizer: { type: 'gpt2' }, validationFraction: 0.0005, testFraction: 0.0005 } };
/** The paper's 4,000 steps with a warm-up of a tenth. */
const WIKITEXT: Corpus = { title: 'WikiText-103', standsFor: 'WikiText-103', data: { files: ['data/wikitext-103-raw-v1'], tokenizer: { type: 'gpt2' } }, train: { steps: 4000, warmupSteps: 400 } };

const withBpe = (corpus: Corpus, vocabularySize: number): Corpus => ({ ...corpus, data: { ...corpus.data, tokenizer: { type: 'bpe', vocabularySize } } });

/** One evaluation at the end: nothing is chosen by it. One checkpoint: hundreds of runs lie beside each other. */
const AT_THE_END = { evalEvery: 0, evalWindows: 16, keepCheckpoints: 1 };

/** As in the paper, but for the steps of each corpus. */
const PAPER_TRAIN = {
  steps: 60_000, warmupSteps: 6000, batchSize: 8, accumulation: 32, learningRate: 0.00045, finalLearningRate: 0.0000045, precision: 'float16',
  ...AT_THE_END, evalWindows: 256, checkpointEvery: 1000, routingEvery: 50,
};

export const SCALES: readonly Scale[] = [
  {
    name: 'tiny',
    backend: 'cpu',
    sizes: [
      { title: 'width 64', standsFor: '323M', model: { contextLength: 64, width: 64, heads: 4, layers: 2, hidden: 256, initStd: 0.05 } },
      { title: 'width 96', standsFor: '556M', model: { contextLength: 64, width: 96, heads: 4, layers: 2, hidden: 384, initStd: 0.05 } },
    ],
    corpora: [withBpe(SOTU, 512), withBpe(BROWN, 512)],
    fewer: true,
    every: 2,
    train: { steps: 2000, warmupSteps: 50, batchSize: 8, learningRate: 0.006, finalLearningRate: 0.0003, ...AT_THE_END, testWindows: 512, checkpointEvery: 1200, routingEvery: 20 },
  },
  {
    name: 'small',
    backend: 'cpu',
    sizes: [
      { title: 'width 96', standsFor: '323M', model: { contextLength: 128, width: 96, heads: 4, layers: 6, hidden: 384, initStd: 0.03 } },
      { title: 'width 128', standsFor: '556M', model: { contextLength: 128, width: 128, heads: 4, layers: 6, hidden: 512, initStd: 0.03 } },
    ],
    corpora: [withBpe(SOTU, 1024), withBpe(BROWN, 1024)],
    fewer: true,
    every: 2,
    train: { steps: 2000, warmupSteps: 100, batchSize: 8, learningRate: 0.004, finalLearningRate: 0.0002, ...AT_THE_END, testWindows: 512, checkpointEvery: 1000, routingEvery: 50 },
  },
  {
    name: 'gpu',
    backend: 'auto',
    sizes: [
      { title: 'width 384', standsFor: '323M', model: { contextLength: 512, width: 384, heads: 6, layers: 6, hidden: 1536, dropout: 0.1, initStd: 0.014 } },
      { title: 'width 512', standsFor: '556M', model: { contextLength: 512, width: 512, heads: 8, layers: 6, hidden: 2048, dropout: 0.1, initStd: 0.014 } },
    ],
    corpora: [OPENWEBTEXT, { ...WIKITEXT, train: { steps: 4000, warmupSteps: 400 } }],
    fewer: false,
    every: 2,
    train: { ...PAPER_TRAIN, steps: 10_000, warmupSteps: 1000, accumulation: 8 },
  },
  {
    name: 'paper',
    backend: 'auto',
    sizes: [
      { title: '323M', standsFor: '323M', model: { contextLength: 1024, width: 768, heads: 12, layers: 12, hidden: 3072, dropout: 0.1, initStd: 0.014, checkpointing: true } },
      { title: '556M', standsFor: '556M', model: { contextLength: 1024, width: 1024, heads: 16, layers: 12, hidden: 4096, dropout: 0.1, initStd: 0.014, checkpointing: true } },
    ],
    corpora: [OPENWEBTEXT, WIKITEXT],
    fewer: false,
    every: 2,
    train: PAPER_TRAIN,
  },
];

/** The corpus that --data names. Files get the tokenizer of the scale. */
export function corpusOfFiles({ corpora: [first] }: Scale, files: readonly string[]): Corpus {
  const { corpus: _, files: __, ...data } = first.data;
  return { ...first, title: 'your text', data: { ...data, files: [...files] } };
}

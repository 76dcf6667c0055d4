// convert --train: what a training of a model that was just split is set to, so that its router learns which experts a token needs. The
// training itself is that of every run.
import { XMoEError } from '@xmoe/core';
import { Command } from 'commander';
import { openBackend } from '@xmoe/backends';
import { trainCommand, type Terminal } from '@xmoe/program';
import { languageTask } from './task.js';

export interface LearnOptions {
  train?: string;
  recipe?: string;
  maxSteps?: number;
  learningRate?: number;
  threshold?: number;
  set?: string[];
}

/** What is to be learned, checked. */
interface Lesson {
  /** Assignments to keys of the configuration. */
  readonly set: readonly string[];
}

const TRAINED = ['router', 'all'] as const;
const RECIPES = ['distill', 'paper'] as const;

const STEPS = 300;
/** Gates begin at 0 and are few; everything else is trained already. */
const LEARNING_RATES = { router: 0.01, all: 0.003 } as const;
/** With frozen experts each layer is taught on what the dense model gives it; experts that are trained learn to do with fewer. */
const THRESHOLDS = { distill: { router: 1, all: 0.8 }, paper: { router: 1, all: 1 } } as const;

/** Undefined without --train. @throws XMoEError for names that there are not, and options that need --train */
export function readLesson({ train, recipe, maxSteps, learningRate, threshold, set }: LearnOptions): Lesson | undefined {
  if (train === undefined) {
    const given = Object.entries({ recipe, 'max-steps': maxSteps, 'learning-rate': learningRate, threshold, set }).find(([, value]) => value !== undefined)?.[0];
    if (given === undefined) return undefined;
    throw new XMoEError('config', `--${given} is of a training`, { hint: 'say what is trained: --train router or --train all' });
  }
  const trained = oneOf('--train', train, TRAINED);
  const way = oneOf('--recipe', recipe ?? 'distill', RECIPES);
  const rate = learningRate ?? LEARNING_RATES[trained];
  return { set: [
    `train.trainable=${trained}`, `train.steps=${maxSteps ?? STEPS}`, `train.learningRate=${rate}`, `train.finalLearningRate=${Number((rate / 10).toPrecision(6))}`,
    `moe.router.threshold=${threshold ?? THRESHOLDS[way][trained]}`,
    ...(way === 'distill' ? ['moe.router.equalWeights=true', 'moe.distillCoefficient=1'] : []),
    ...(set ?? []),
  ] };
}

function oneOf<const T extends string>(flag: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((name) => name === value);
  if (found !== undefined) return found;
  throw new XMoEError('value', `${flag} is ${JSON.stringify(value)}`, { hint: `pass ${allowed.join(' or ')}` });
}

/** Trains the run `out` from the weights in `split`. */
export function learnRouter(terminal: Terminal, split: string, { set }: Lesson, { out, backend, data, dataRoot }: { out: string; backend: string; data?: string[]; dataRoot: string }): Promise<void> {
  const options = { preset: 'tiny', backend, out, initFrom: split, set: [...set], dataRoot, debug: 'off' as const, ...(data ? { data } : {}) };
  return trainCommand(languageTask, openBackend, terminal, options, new Command());
}

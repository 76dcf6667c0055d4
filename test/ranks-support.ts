// What tests of the programs on several ranks share: how a program is started by a launcher, and a run of seconds. No tests.
import { programCommand } from '@xmoe/testing/programs';
import { EXPERTS, SMALL, writeCorpus } from '../apps/lm-pretrain/test/support.js';

/** The command line of a program without its arguments. */
export const program = (app: string): string[] => [process.execPath, ...programCommand(new URL(`../apps/${app}/src/cli.ts`, import.meta.url))];

export const backend = ['--backend', 'cpu:plain'];

/** The arguments of a training of `steps` steps of four micro-batches, on a corpus that is written to the folder of `path`. */
export function smallTraining(path: (...names: string[]) => string, steps: number): (out: string, ...more: string[]) => string[] {
  const corpus = writeCorpus(path('corpus.jsonl'));
  return (out, ...more) => [
    'train', ...SMALL, ...EXPERTS, ...backend, '--accumulation', '4', '--data', corpus, '--data-root', path('data'), '--max-steps', String(steps), '--eval-every', '5', '--checkpoint-every', '4', '--out', out, ...more,
  ];
}

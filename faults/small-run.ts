// A training run of seconds, its undisturbed form, and how a disturbed one is compared with it: same weights, optimizer, state,
// losses and summary; nothing left behind. It disturbs nothing itself.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { join } from 'node:path';
import { checkpointsOf, fingerprint } from '@xmoe/testing/programs';
import { spawnProgram, type Ended, type Fault, type Started } from './processes.js';
import { createRandom, type Launch, type ProgramName } from './result.js';

export interface SmallRun {
  readonly steps: number;
  /** The undisturbed run. */
  readonly reference: string;
  /** Starts a new run in `out`, or goes on with the one that is there. */
  start(out: string, fault?: Fault): Started;
  /** Until it ends. */
  run(out: string, fault?: Fault): Promise<Ended>;
  /** In which way a run differs from the undisturbed one, but for what `except` names. */
  differences(out: string, except?: readonly (keyof Contents)[]): string[];
}

const WORDS = 'the a of to in king queen house war peace people state good great new old law river sea land'.split(' ');

function writeTexts(path: string, count: number): void {
  const random = createRandom(3);
  const sentence = (): string => Array.from({ length: 40 }, () => WORDS[Math.floor(random() * random() * WORDS.length)]).join(' ');
  writeFileSync(path, Array.from({ length: count }, () => `${JSON.stringify({ text: sentence() })}\n`).join(''));
}

function writePairs(path: string, count: number): void {
  const random = createRandom(5);
  const pick = (): string => WORDS[Math.floor(random() * WORDS.length)]!;
  const pairs = new Set<string>();
  while (pairs.size < count) {
    const words = [pick(), pick(), pick(), pick(), pick()];
    pairs.add(`${words.map((word) => [...word].reverse().join('')).join(' ')}\t${words.join(' ')}\n`);
  }
  writeFileSync(path, [...pairs].join(''));
}

const SHARED = [
  '--backend', 'cpu:wasm', '--width', '16', '--heads', '2', '--hidden', '32', '--experts', '4', '--expert-hidden', '16', '--dropout', '0.1',
  '--warmup-steps', '2', '--routing-every', '2',
];

const PROGRAMS: Readonly<Record<ProgramName, { corpus: string; write(path: string): void; flags: readonly string[] }>> = {
  'xmoe-lm': {
    corpus: 'texts.jsonl',
    write: (path) => writeTexts(path, 80),
    flags: [
      ...SHARED, '--set', 'data.tokenizer.vocabularySize=270', '--validation-fraction', '0.1', '--test-fraction', '0.1', '--context-length', '16',
      '--batch-size', '2', '--accumulation', '2', '--eval-windows', '4', '--test-windows', '8',
    ],
  },
  'xmoe-nmt': {
    corpus: 'pairs.tsv',
    write: (path) => writePairs(path, 300),
    flags: [
      ...SHARED, '--vocabulary-size', '300', '--validation-pairs', '12', '--test-pairs', '12', '--near-duplicate', '1', '--set', 'data.maximumTokens=48',
      '--batch-tokens', '128', '--update-tokens', '150', '--eval-pairs', '6', '--scored-pairs', '6', '--beam', '2',
    ],
  },
};

/** Prepares the data and trains the undisturbed run in `folder`. */
export async function createSmallRun(program: ProgramName, launch: Launch, folder: string, { steps = 6, checkpointEvery = 2, evaluateEvery = 3 } = {}): Promise<SmallRun> {
  const { corpus, write, flags } = PROGRAMS[program];
  write(join(folder, corpus));
  const train = [
    'train', ...flags, '--data', join(folder, corpus), '--data-root', join(folder, 'data'),
    '--max-steps', String(steps), '--checkpoint-every', String(checkpointEvery), '--eval-every', String(evaluateEvery),
  ];
  const start = (out: string, fault?: Fault): Started => {
    const isThere = existsSync(join(out, 'config.json'));
    return spawnProgram(launch[program], isThere ? ['train', '--resume', '--out', out] : [...train, '--out', out], fault ? { fault } : {});
  };
  const run = (out: string, fault?: Fault): Promise<Ended> => start(out, fault).ended;
  const reference = join(folder, 'reference');
  const { code, messages } = await run(reference);
  if (code !== 0) throw new Error(`the undisturbed run of ${program} ended with ${code}:\n${messages}`);
  const expected = contentsOf(reference);
  return { steps, reference, start, run, differences: (out, except = []) => differencesFrom(expected, out, except) };
}

/** What must not depend on interruptions. */
function contentsOf(run: string) {
  const summary = JSON.parse(readFileSync(join(run, 'summary.json'), 'utf8')) as Record<string, unknown>;
  const timeless = Object.entries(summary).filter(([key]) => !/seconds|persecond/i.test(key));
  return { ...fingerprint(run), checkpoints: checkpointsOf(run), summary: Object.fromEntries(timeless) };
}

type Contents = ReturnType<typeof contentsOf>;

function differencesFrom(expected: Contents, out: string, except: readonly (keyof Contents)[]): string[] {
  try {
    const found = contentsOf(out);
    const differing = (Object.keys(expected) as (keyof Contents)[]).filter((key) => !except.includes(key) && !isDeepStrictEqual(found[key], expected[key]));
    return [...differing.map((key) => `other ${key}`), ...leftoversOf(out).map((name) => `left behind: ${name}`)];
  } catch (error) {
    return [`not complete: ${(error as Error).message}`];
  }
}

/** Locks, drafts and temporary files in a run directory. */
function leftoversOf(out: string): string[] {
  return (readdirSync(out, { recursive: true }) as string[]).filter((name) => /(^|\/)(lock|\.temporary|\.partial|.*\.temporary)/.test(name));
}

// Damaged checkpoints: every file of the newest one truncated, flipped, zeroed, lengthened, emptied, removed or replaced. The run
// falls back to the one before and says so; with none left it refuses, and never starts from nothing.
import { appendFileSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkpointsOf } from '@xmoe/testing/programs';
import { createRandom, createTally, eachOf, sampleOf, type FaultResult, type SectionOptions } from './result.js';
import { createSmallRun, type SmallRun } from './small-run.js';

type Damage = (path: string, random: () => number) => void;

const DAMAGES: Readonly<Record<string, Damage>> = {
  'one bit flipped': (path, random) => change(path, (bytes) => (bytes[Math.floor(random() * bytes.length)]! ^= 1 << Math.floor(random() * 8))),
  'a page of zeros': (path, random) => change(path, (bytes) => bytes.fill(0, Math.floor(random() * bytes.length))),
  'first byte changed': (path) => change(path, (bytes) => (bytes[0]! ^= 0xff)),
  truncated: (path, random) => truncateSync(path, Math.floor(random() * readFileSync(path).length)),
  // Not the last byte alone: that of a manifest is a line end, and nothing of it would be lost.
  'last two bytes gone': (path) => truncateSync(path, readFileSync(path).length - 2),
  lengthened: (path) => appendFileSync(path, 'x'),
  emptied: (path) => writeFileSync(path, ''),
  removed: (path) => rmSync(path),
  'a folder in its place': (path) => {
    rmSync(path);
    mkdirSync(path);
  },
  'a link to itself': (path) => {
    rmSync(path);
    symlinkSync(path, path);
  },
};

function change(path: string, edit: (bytes: Buffer) => unknown): void {
  const before = readFileSync(path);
  const bytes = Buffer.from(before);
  edit(bytes);
  if (bytes.equals(before)) bytes[bytes.length - 1]! ^= 1;
  writeFileSync(path, bytes);
}

export async function damage({ folder, launch, share, jobs, seed, say }: SectionOptions): Promise<FaultResult[]> {
  const small = await createSmallRun('xmoe-lm', launch, folder);
  const [, newest = ''] = checkpointsOf(small.reference);
  const files = readdirSync(join(small.reference, 'checkpoints', newest));
  const cases = files.flatMap((file) => Object.keys(DAMAGES).map((kind) => ({ file, kind })));
  const tally = createTally('F11', 'a damaged file of the newest checkpoint: falls back, names it, ends the same');
  await eachOf(sampleOf(cases, share), jobs, async ({ file, kind }, at) => {
    const out = join(folder, `damaged-${at}`);
    cpSync(small.reference, out, { recursive: true });
    rmSync(join(out, 'summary.json'));
    DAMAGES[kind]!(join(out, 'checkpoints', newest, file), createRandom(seed * 100 + at));
    tally.add(`${file}: ${kind}`, await fallsBack(small, out, newest));
    rmSync(out, { recursive: true, force: true });
  });
  say(`${tally.result().passed} of ${tally.result().tried} damaged files`);
  return [tally.result(), await allDamaged(small, folder)];
}

async function fallsBack(small: SmallRun, out: string, newest: string): Promise<string[]> {
  const { code, messages } = await small.run(out);
  return [
    ...(code === 0 ? [] : [`ended with ${code}: ${messages.trimEnd().split('\n').at(-1)}`]),
    ...(messages.includes(newest) && /skipped/.test(messages) ? [] : ['the damaged checkpoint is not named']),
    ...small.differences(out, ['checkpoints']), // the damaged one goes once enough good ones are newer
  ];
}

/** Exit code where no checkpoint is valid; see docs/reliability.md. */
const NO_CHECKPOINT = 3;

async function allDamaged(small: SmallRun, folder: string): Promise<FaultResult> {
  const tally = createTally('F11', 'every checkpoint damaged: refused, each named, nothing overwritten');
  const out = join(folder, 'all-damaged');
  cpSync(small.reference, out, { recursive: true });
  const names = checkpointsOf(out);
  for (const name of names) DAMAGES['one bit flipped']!(join(out, 'checkpoints', name, 'parameters.safetensors'), createRandom(1));
  const { code, messages } = await small.run(out);
  tally.add('all', [
    ...(code === NO_CHECKPOINT ? [] : [`ended with ${code}`]),
    ...names.filter((name) => !messages.includes(name)).map((name) => `${name} is not named`),
    ...(checkpointsOf(out).join() === names.join() ? [] : ['checkpoints changed']),
  ]);
  return tally.result();
}

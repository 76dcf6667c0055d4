// `node faults/presets.mjs [NAME…] [--fresh]`: every preset of the paper at full width makes two optimizer steps on the CPU with a
// finite loss, one process after the other, on data made here. Shortened are the batch (one sequence), the context (16 tokens) and the
// warm-up; all else is the preset's. A process is ended after its second step: what follows is the same for any size, and is tested
// small. Results are kept in .xmoe/presets.jsonl, and a preset that is there is not run again.
import { spawn } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { freemem, loadavg } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildAll, installIfNeeded } from '../scripts/lib/progress.mjs';
import { root } from '../scripts/lib/repository.mjs';

const STEPS = 2;
const CONTEXT = 16;
const DEADLINE_MS = 30 * 60_000;

const PROGRAMS = {
  'lm-pretrain': {
    kind: 'language',
    presets: /^\d+m-/,
    file: 'corpus.jsonl',
    data: (words) => sentences(words, 3000).map((text) => JSON.stringify({ text })).join('\n'),
    flags: [
      '--context-length', CONTEXT, '--batch-size', 1, '--accumulation', 1, '--validation-fraction', 0.05, '--test-fraction', 0.05,
      '--eval-windows', 1, '--test-windows', 1,
    ],
  },
  nmt: {
    kind: 'translation',
    presets: /^paper-/,
    file: 'pairs.tsv',
    data: (words) => sentences(words, 12_000).map((text) => `${text}\t${text.split(' ').reverse().join(' ')}`).join('\n'),
    flags: [
      '--set', `data.maximumTokens=${CONTEXT}`, '--batch-tokens', CONTEXT, '--update-tokens', 1, '--validation-pairs', 4, '--test-pairs', 4,
      '--near-duplicate', 1, '--eval-pairs', 1, '--scored-pairs', 1, '--beam', 1,
    ],
  },
};

/** Numbers from 0 to below `limit`, always the same. */
function generator() {
  let state = 12345;
  return (limit) => (state = (state * 48271) % 2147483647) % limit;
}

/** Made-up words: as many as a vocabulary of 32,000 pieces needs. */
function makeWords() {
  const next = generator();
  const letters = 'aeiounstrldmgkpbvfhw';
  return Array.from({ length: 12_000 }, () => Array.from({ length: 3 + next(8) }, () => letters[next(letters.length)]).join(''));
}

function sentences(words, count) {
  const next = generator();
  return Array.from({ length: count }, () => Array.from({ length: 5 + next(4) }, () => words[next(words.length)]).join(' '));
}

/** All presets of the paper as [program, preset]. */
export function paperPresets() {
  return Object.entries(PROGRAMS).flatMap(([program, { kind, presets }]) =>
    readdirSync(join(root, 'packages', 'models', 'presets', kind))
      .map((file) => file.replace(/\.json$/, ''))
      .filter((name) => presets.test(name))
      .map((preset) => [program, preset]),
  );
}

/** Writes the process' largest memory where its environment says, whenever a step may have been the last. */
const PEAK_REPORTER = `data:text/javascript,${encodeURIComponent(`
  import { writeFileSync } from 'node:fs';
  setInterval(() => writeFileSync(process.env.XMOE_PEAK_FILE, String(process.resourceUsage().maxRSS)), 250).unref();
`)}`;

/** Runs the program's \`train\`; ends it once \`isDone\`. Resolves to its exit code (null when ended here) and all it said. */
async function train(program, args, environment, isDone) {
  const cli = join(root, 'apps', program, 'dist', 'cli.js');
  const child = spawn(process.execPath, ['--import', PEAK_REPORTER, cli, 'train', ...args.map(String)], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (said += data));
  let code;
  child.on('close', (status) => (code = status ?? 128));
  for (const since = Date.now(); code === undefined; await sleep(250)) {
    if (isDone() || Date.now() - since > DEADLINE_MS) {
      child.kill('SIGKILL');
      while (code === undefined) await sleep(20);
      return { code: isDone() ? null : 124, said };
    }
  }
  return { code: isDone() ? null : code, said };
}

/** The losses of the run's steps, NaN and infinities included. */
function lossesOf(run) {
  const path = join(run, 'metrics.jsonl');
  if (!existsSync(path)) return [];
  const rows = readFileSync(path, 'utf8').split('\n').slice(0, -1).map((line) => JSON.parse(line));
  return rows.filter(({ kind }) => kind === 'step').map(({ loss }) => Number(loss));
}

/** One preset: what came of it, as a row. */
export async function tryPreset(program, preset, folder) {
  const { file, data, flags } = PROGRAMS[program];
  const path = join(folder, file);
  if (!existsSync(path)) writeFileSync(path, `${data(makeWords())}\n`);
  const peakFile = join(folder, 'peak');
  const environment = { XMOE_PEAK_FILE: peakFile };
  const run = join(folder, preset);
  const since = Date.now();
  const everything = [
    '--preset', preset, '--backend', 'cpu', '--data', path, '--data-root', join(folder, 'data'), '--out', run, ...flags,
    '--max-steps', STEPS, '--warmup-steps', 1, '--eval-every', 1000, '--checkpoint-every', 1000,
  ];
  const { code, said } = await train(program, everything, environment, () => lossesOf(run).length >= STEPS);
  const losses = lossesOf(run);
  const ok = losses.length === STEPS && losses.every(Number.isFinite);
  const record = join(run, 'config.json');
  const named = existsSync(record) ? JSON.parse(readFileSync(record, 'utf8')).backend : 'none';
  const backend = named === 'cpu' ? 'cpu:plain' : named;
  rmSync(run, { recursive: true, force: true });
  return {
    program, preset, backend, losses: losses.map(String), ok,
    peakMiB: Math.round(Number(readFileSync(peakFile, 'utf8')) / 1024), seconds: Math.round((Date.now() - since) / 1000), load: Number(loadavg()[0].toFixed(1)),
    ...(ok ? {} : { code, said: said.trim().split('\n').slice(-6).join('\n') }),
  };
}

/** Tries the presets (all, or those named), keeps the rows, and prints one line each; whether all are well. */
export async function tryPresets(names = [], { fresh = false } = {}) {
  const kept = join(root, '.xmoe', 'presets.jsonl');
  mkdirSync(join(root, '.xmoe'), { recursive: true });
  if (fresh) rmSync(kept, { force: true });
  const rows = existsSync(kept) ? readFileSync(kept, 'utf8').trim().split('\n').filter(Boolean).map((line) => JSON.parse(line)) : [];
  const known = paperPresets();
  const wanted = names.length > 0 ? known.filter(([, preset]) => names.includes(preset)) : known;
  const folder = mkdtempSync(join(root, '.xmoe', 'presets-'));
  let failures = 0;
  try {
    for (const [program, preset] of wanted) {
      const before = rows.find((row) => row.preset === preset && row.ok);
      const row = before ?? (await tryPreset(program, preset, folder));
      if (!before) appendFileSync(kept, `${JSON.stringify(row)}\n`);
      if (!row.ok) failures++;
      const outcome = row.ok ? `loss ${row.losses.map((loss) => Number(loss).toFixed(3)).join(', ')}` : `FAILED (${row.code}), losses ${row.losses.join(', ') || 'none'}\n${row.said}`;
      process.stdout.write(`${preset.padEnd(28)} ${row.backend.padEnd(9)} ${outcome}; peak ${row.peakMiB} MiB, ${row.seconds} s, load ${row.load}${before ? ' (kept)' : ''}\n`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  process.stdout.write(`${wanted.length - failures} of ${wanted.length} presets make ${STEPS} steps with a finite loss; ${(freemem() / 2 ** 30).toFixed(1)} GiB free\n`);
  return failures === 0;
}

const USAGE = `node faults/presets.mjs [NAME…] [--fresh]
  NAME…    presets of the paper (default: all): ${paperPresets().map(([, preset]) => preset).join(', ')}
  --fresh  run those again that were well before
  --help   this text
`;

/** Presets by name, and whether anew; says what is wrong with other arguments, or what there is, and ends. */
function readArguments(args) {
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(USAGE);
    process.exit(0);
  }
  const names = args.filter((arg) => arg !== '--fresh');
  const known = paperPresets().map(([, preset]) => preset);
  const strange = names.find((name) => !known.includes(name));
  if (strange === undefined) return { names, fresh: args.includes('--fresh') };
  process.stderr.write(`${strange.startsWith('-') ? 'there is no option' : 'no preset of the paper is called'} ${strange} (see --help)\n`);
  process.exit(2);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { names, fresh } = readArguments(process.argv.slice(2));
  await installIfNeeded();
  await buildAll();
  process.exitCode = (await tryPresets(names, { fresh })) ? 0 : 1;
}

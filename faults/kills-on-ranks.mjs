// `source .xmoe/mpi/env.sh; node faults/kills-on-ranks.mjs [KILLS] [SEED]`: a small run on several ranks, of which one is killed (-9) at a random
// moment, 20 times by default; each time it goes on with a random number of ranks, experts spread over a random number of them, moments sharded or
// not. At its end it must be the run of one process that nobody disturbed, to the bit. Says each session; ends with 1 where the runs differ.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { processesBelow } from '../scripts/lib/processes.mjs';
import { buildApp, installIfNeeded } from '../scripts/lib/progress.mjs';
import { root } from '../scripts/lib/repository.mjs';

const [KILLS, SEED] = [Number(process.argv[2] ?? 20), Number(process.argv[3] ?? 1)];
const STEPS = 8 + 9 * KILLS; // a session makes some six before its end, more where killing comes late
const folder = mkdtempSync(join(tmpdir(), 'xmoe-ranks-'));
await installIfNeeded();
await buildApp('@xmoe/lm-pretrain'); // each session starts several processes: from sources they would compile all of it each time
const command = [join(root, 'apps/lm-pretrain/dist/cli.js')];

let state = SEED * 48271;
const random = (limit) => (state = (state * 48271) % 2147483647) % limit;
const oneOf = (values) => values[random(values.length)];

const WORDS = 'the a of to in king queen house war peace people state good great new old law river sea land'.split(' ');
writeFileSync(join(folder, 'corpus.jsonl'), Array.from({ length: 60 }, () => `${JSON.stringify({ text: Array.from({ length: 60 }, () => oneOf(WORDS)).join(' ') })}\n`).join(''));

const flags = [
  '--backend', 'cpu:wasm', '--preset', 'tiny', '--set', 'data.tokenizer.vocabularySize=280', '--validation-fraction', '0.1', '--test-fraction', '0.1', '--context-length', '16', '--width', '16',
  '--heads', '2', '--hidden', '32', '--experts', '4', '--set', 'moe.expertHidden=16', '--dropout', '0.1', '--batch-size', '2', '--accumulation', '4', '--warmup-steps', '1', '--eval-every', '10',
  '--eval-windows', '2', '--test-windows', '2', '--checkpoint-every', '2', '--max-steps', String(STEPS), '--set', 'train.reduction=deterministic', '--data', join(folder, 'corpus.jsonl'), '--data-root', join(folder, 'data'),
];

const start = (args) => {
  const child = spawn(process.execPath, [...command, ...args], { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, XMOE_THREADS: '1' } });
  let messages = '';
  child.stderr.on('data', (data) => (messages = (messages + data).slice(-2000)));
  return { child, ended: new Promise((resolve) => child.once('close', (code) => resolve({ code, messages }))) };
};

/** The ranks below a process: those that train. */
const ranksBelow = (pid) => [...processesBelow(pid)].filter(([, { line }]) => line.startsWith(process.execPath) && line.includes('\0train\0') && !line.includes('\0launch\0')).map(([at]) => at);

function stepOf(out) {
  try {
    return JSON.parse(readFileSync(join(out, 'metrics.jsonl'), 'utf8').trim().split('\n').at(-1)).step ?? 0;
  } catch {
    return 0;
  }
}

const isFinished = (out) => readdirSync(out).includes('summary.json');

/** Hashes of the last checkpoint, and the losses of all steps. */
function resultOf(out) {
  const last = join(out, 'checkpoints', readdirSync(join(out, 'checkpoints')).filter((name) => name.startsWith('step-')).sort().at(-1));
  const { files } = JSON.parse(readFileSync(join(last, 'manifest.json'), 'utf8'));
  const rows = readFileSync(join(out, 'metrics.jsonl'), 'utf8').trim().split('\n').map((line) => JSON.parse(line));
  return JSON.stringify([files['parameters.safetensors'], files['optimizer.safetensors'], rows.map(({ kind, step, loss, gradientNorm }) => [kind, step, loss, gradientNorm])]);
}

async function mustEnd({ ended }, what) {
  const { code, messages } = await ended;
  if (code !== 0) throw new Error(`${what} ended with ${code}:\n${messages}`);
}

const [alone, disturbed] = [join(folder, 'alone'), join(folder, 'disturbed')];
await mustEnd(start(['train', ...flags, '--out', alone]), 'the undisturbed run');
let kills = 0;
for (let session = 0; session < 3 * KILLS + 3; session++) {
  const ranks = oneOf([1, 2, 4]);
  const spread = oneOf([1, 2, 4].filter((size) => ranks % size === 0));
  const layout = ['--set', `train.expertParallel=${spread}`, '--set', `train.shardOptimizer=${random(2) === 1}`];
  const begun = readdirSync(folder).includes('disturbed') && readdirSync(disturbed).includes('config.json');
  const from = begun ? stepOf(disturbed) : 0;
  const args = begun ? ['train', '--resume', '--out', disturbed, '--backend', 'cpu:wasm', ...layout] : ['train', ...flags, ...layout, '--out', disturbed];
  const run = start(['launch', '-n', String(ranks), '--', ...args]);
  let isOver = false;
  void run.ended.then(() => (isOver = true));
  if (kills < KILLS) {
    const at = from + random(6);
    while (!isOver && !(stepOf(disturbed) > at)) await sleep(20);
    await sleep(random(300));
    const victims = isOver ? [] : ranksBelow(run.child.pid);
    if (victims.length > 0) {
      process.kill(oneOf(victims), 'SIGKILL');
      kills++;
    }
  }
  const { code } = await run.ended;
  console.log(`session ${session + 1}: ${ranks} ranks, experts over ${spread}, from step ${from} to ${stepOf(disturbed)} of ${STEPS}, code ${code}, ${kills} kills`);
  if (isFinished(disturbed)) break;
}
const isSame = isFinished(disturbed) && resultOf(alone) === resultOf(disturbed);
console.log(isSame ? `the same bits after ${kills} kills` : `NOT the same after ${kills} kills; both runs are in ${folder}`);
if (isSame) rmSync(folder, { recursive: true, force: true });
process.exitCode = isSame ? 0 : 1;

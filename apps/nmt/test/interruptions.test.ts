// A run that is killed or stopped and then resumed ends as the uninterrupted one. Every router and dispatch path trains. The
// moments that matter to a checkpoint are in the tests of xmoe-lm and @xmoe/train.
import { createHash } from 'node:crypto';
import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { EXPERTS, fingerprint, lastStep, mustRun, runHere, SMALL, startProcess, temporaryFolder, waitUntil, writePairs } from './support.js';

const path = temporaryFolder();
const STEPS = 30;
const pairs = writePairs(path('pairs.tsv'));
const common = ['--data', pairs, '--data-root', path('data')];
const train = (out: string, ...more: string[]): string[] => ['train', ...SMALL, ...EXPERTS, ...common, '--max-steps', String(STEPS), '--checkpoint-every', '5', '--out', out, ...more];
const reference = path('reference');
beforeAll(() => mustRun(...train(reference)), 120_000);

it('kill -9 between two checkpoints, resumed: the same weights, optimiser, batches, losses and scores', async () => {
  const run = path('killed');
  const killed = startProcess(...train(run));
  await waitUntil(killed, () => lastStep(run) >= 13);
  killed.child.kill('SIGKILL');
  await killed.ended;
  expect(lastStep(run)).toBeLessThan(STEPS);
  await mustRun('train', '--resume', '--out', run);
  expect(fingerprint(run)).toEqual(fingerprint(reference));
  expect(readFileSync(join(run, 'summary.json'), 'utf8').replace(/"(tokensPerSecond|trainingSeconds|processorSeconds)": [\d.]+/g, '')).toBe(
    readFileSync(join(reference, 'summary.json'), 'utf8').replace(/"(tokensPerSecond|trainingSeconds|processorSeconds)": [\d.]+/g, ''));
});

it('SIGINT saves and ends with 130; resumed in two more sessions it is the same run', async () => {
  const run = path('stopped');
  const stopped = startProcess(...train(run, '--checkpoint-every', '1000'));
  await waitUntil(stopped, () => lastStep(run) >= 3);
  stopped.child.kill('SIGINT');
  expect(await stopped.ended).toMatchObject({ code: 130, output: expect.stringMatching(/^Stopped after \d+ of 30 steps/) });
  await mustRun('train', '--resume', '--out', run, '--stop-after', '21', '--checkpoint-every', '5');
  expect(lastStep(run)).toBe(21);
  await mustRun('train', '--resume', '--out', run, '--checkpoint-every', '5');
  expect(fingerprint(run)).toEqual(fingerprint(reference));
});

it('F19: a run that diverges says so, ends with 70, and goes on from a good checkpoint with a lower learning rate', async () => {
  const run = path('diverged');
  await mustRun(...train(run, '--stop-after', '10'));
  const diverged = await runHere('train', '--resume', '--out', run, '--learning-rate', '1e9', '--eval-every', '0');
  expect(diverged.code).toBe(70);
  expect(diverged.messages).toMatch(/step \d+: the gradient was not finite .*the first such update/);
  expect(diverged.messages).toMatch(/error: .*(diverged|not numbers|without a finite result)/s);
  expect(diverged.messages).not.toContain('    at ');
  await mustRun('train', '--resume', '--out', run, '--checkpoint', 'step-00000010', '--learning-rate', '1e-3', '--max-steps', '12', '--eval-every', '10');
  expect(lastStep(run)).toBe(12);
  expect(JSON.parse(readFileSync(join(run, 'summary.json'), 'utf8'))).toMatchObject({ steps: 12, skippedUpdates: 0 });
});

it('refuses another configuration and an --out that holds a run', async () => {
  expect((await runHere('train', '--resume', '--out', reference, '--update-tokens', '9')).messages).toContain('train.updateTokens was 150 and is now 9');
  expect((await runHere(...train(reference))).messages).toContain(`${reference} holds a run already`);
});

it('F26: refuses pairs that were altered meanwhile, and other pairs of the same size, by name', async () => {
  const [run, data] = [path('other'), path('other-data')];
  cpSync(reference, run, { recursive: true });
  const record = JSON.parse(readFileSync(join(run, 'config.json'), 'utf8')) as { data: string };
  cpSync(record.data, data, { recursive: true });
  writeFileSync(join(run, 'config.json'), JSON.stringify({ ...record, data }));
  expect(await runHere('train', '--resume', '--out', run)).toMatchObject({ code: 0 });
  const [shard, index] = [join(data, 'train-00000.bin'), join(data, 'index.json')];
  const bytes = readFileSync(shard);
  const sha256 = (): string => createHash('sha256').update(bytes).digest('hex');
  const before = sha256();
  bytes.writeUInt16LE(bytes.readUInt16LE(0) ^ 1, 0);
  writeFileSync(shard, bytes);
  expect((await runHere('train', '--resume', '--out', run)).messages).toMatch(/error: .*train-00000\.bin was altered/);
  writeFileSync(index, readFileSync(index, 'utf8').replace(before, sha256()));
  for (const command of [['train', '--resume', '--out', run], ['eval', run]]) {
    const { code, messages } = await runHere(...command);
    expect(code).not.toBe(0);
    expect(messages).toMatch(/error: .*was trained on other data: their fingerprint is [0-9a-f]{16}, and that of .*other-data is [0-9a-f]{16}/);
  }
});

it('accumulates micro-batches up to the token target', () => {
  const rows = readFileSync(join(reference, 'metrics.jsonl'), 'utf8').trim().split('\n').map((line) => JSON.parse(line)).filter(({ kind }) => kind === 'step');
  for (const { tokens } of rows) expect(tokens).toBeGreaterThanOrEqual(150);
  expect(Math.max(...rows.map(({ tokens }) => tokens))).toBeLessThan(150 + 128);
});

it('patience ends a run that gets no better, and it is complete', async () => {
  const run = path('patient');
  const { output } = await mustRun(...train(run, '--learning-rate', '1e-9', '--final-learning-rate', '0', '--patience', '2', '--eval-every', '2', '--best-by', 'loss', '--warmup-steps', '0'));
  const summary = JSON.parse(readFileSync(join(run, 'summary.json'), 'utf8'));
  expect(summary.stoppedEarly).toBe(true);
  expect(summary.steps).toBeLessThan(STEPS);
  expect(output).toContain(`Trained ${summary.steps} steps (no better for a while)`);
});

describe.each([
  [['--router', 'threshold', '--side', 'both', '--every', '1'], ['encoder.h.0', 'encoder.h.1', 'decoder.h.0', 'decoder.h.1']],
  [['--router', 'topk', '--k', '2', '--dispatch', 'padded', '--side', 'decoder'], ['decoder.h.1']],
  [['--router', 'switch', '--dispatch', 'padded', '--norm', 'post'], ['encoder.h.1']],
  [['--router', 'hash', '--balanced', 'true', '--side', 'both'], ['encoder.h.1', 'decoder.h.1']],
  [['--router', 'base', '--dispatch', 'grouped', '--positions', 'learned'], ['encoder.h.1']],
  [['--router', 'dense', '--tied-embeddings', 'decoder'], []],
])('%j', (flags, layers) => {
  it('trains, scores and reports', async () => {
    const run = path(flags.join('').replaceAll(/\W/g, ''));
    const experts = flags.includes('dense') ? [] : EXPERTS;
    await mustRun('train', ...SMALL, ...experts, ...common, '--max-steps', '3', '--scored-pairs', '4', '--out', run, ...flags);
    const summary = JSON.parse(readFileSync(join(run, 'summary.json'), 'utf8'));
    expect(Object.keys(summary.expertsPerToken)).toEqual(layers);
    for (const key of ['bleu', 'chrf', 'testLoss', 'tokensPerSecond']) expect(Number.isFinite(summary[key]), key).toBe(true);
    expect(summary.steps).toBe(3);
    if (layers.length > 0) expect(Math.min(summary.budgetedFlops, summary.executedFlops)).toBeGreaterThan(0);
    expect(existsSync(join(run, 'report.html'))).toBe(true);
  });
});

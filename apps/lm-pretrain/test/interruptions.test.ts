// A run that is killed, stopped or damaged and then resumed ends as the uninterrupted one: same weights, optimiser, losses.
// Real processes and real signals. The checkpoint format itself is tested in @xmoe/train.
import { cpSync, existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  checkpointsOf, EXPERTS, fingerprint, lastStep, metricsOf, mustRun, runHere, SMALL, startProcess, temporaryFolder, waitUntil, writeCorpus,
} from './support.js';

const path = temporaryFolder();
const STEPS = 40;
const corpus = writeCorpus(path('corpus.jsonl'));
const train = (out: string, ...more: string[]): string[] => [
  'train', ...SMALL, ...EXPERTS, '--data', corpus, '--data-root', path('data'), '--max-steps', String(STEPS), '--checkpoint-every', '5', '--out', out, ...more,
];
const resume = (out: string, ...more: string[]) => mustRun('train', '--resume', '--out', out, ...more);

const reference = path('reference');
beforeAll(() => mustRun(...train(reference)), 120_000);

describe('kill -9', () => {
  const saving = (run: string): boolean => {
    const directory = join(run, 'checkpoints');
    return existsSync(directory) && readdirSync(directory).some((name) => name.startsWith('.temporary-') && name.includes('-step-'));
  };
  it.each([
    ['before the first checkpoint', (run: string) => lastStep(run) >= 2],
    ['between two checkpoints', (run: string) => lastStep(run) >= 13],
    ['while a checkpoint is saved', (run: string) => lastStep(run) >= 22 && saving(run)],
  ])('%s', async (moment, reached) => {
    const run = path(moment.replaceAll(' ', '-'));
    const killed = startProcess(...train(run));
    await waitUntil(killed, () => reached(run));
    killed.child.kill('SIGKILL');
    await killed.ended;
    expect(killed.child.signalCode).toBe('SIGKILL');
    expect(lastStep(run)).toBeLessThan(STEPS);
    expect(existsSync(join(run, 'summary.json'))).toBe(false);

    await resume(run);
    expect(fingerprint(run)).toEqual(fingerprint(reference));
    expect(existsSync(join(run, 'summary.json'))).toBe(true);
  });
});

describe('signals', () => {
  it.each([['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129], ['SIGQUIT', 131], ['SIGUSR1', 138], ['SIGUSR2', 140]] as const)('F4, F6: %s saves, ends with %i, and the resumed run is the same', async (signal, code) => {
    const run = path(signal);
    const stopped = startProcess(...train(run, '--checkpoint-every', '1000'));
    await waitUntil(stopped, () => lastStep(run) >= 3);
    stopped.child.kill(signal);
    expect((await stopped.ended).code).toBe(code);
    expect(stopped.messages).toContain(`${signal}: saving a checkpoint`);
    expect(stopped.output).toMatch(new RegExp(`^Stopped after \\d+ of ${STEPS} steps. Go on with --resume --out ${run}\n$`));
    const step = lastStep(run);
    expect(step).toBeLessThan(STEPS);
    expect(checkpointsOf(run)).toEqual([`step-${String(step).padStart(8, '0')}`]);

    const { messages } = await resume(run, '--checkpoint-every', '5');
    expect(messages).toContain('wasm'); // the run's own backend without being named
    expect(fingerprint(run)).toEqual(fingerprint(reference));
  });

  it('a second signal quits at once', async () => {
    const run = path('twice');
    // Nothing but steps: the signals must be heard between them.
    const endless = ['--checkpoint-every', '--eval-every', '--max-steps'].flatMap((flag) => [flag, '100000000']);
    const stopped = startProcess(...train(run, ...endless));
    await waitUntil(stopped, () => lastStep(run) >= 2);
    stopped.child.kill('SIGINT');
    stopped.child.kill('SIGTERM');
    // Sent so close together they may be heard in either order: the code is that of the one heard second.
    const { code } = await stopped.ended;
    const heardFirst = /(SIGINT|SIGTERM): saving a checkpoint/.exec(stopped.messages)?.[1];
    expect(code).toBe(heardFirst === 'SIGINT' ? 143 : 130);
    expect(stopped.output).toBe('');
    expect(existsSync(join(run, 'lock'))).toBe(false);
  });

  it('ends the final evaluation promptly; resuming does only that', async () => {
    const run = path('evaluating');
    const flags = ['--test-fraction', '0.8', '--test-windows', 'null', '--max-steps', '5', '--out', run];
    const stopped = startProcess('train', ...SMALL, ...EXPERTS, '--data', writeCorpus(path('long.jsonl'), 400), '--data-root', path('data'), ...flags);
    await waitUntil(stopped, () => stopped.messages.includes('Scoring the test split'));
    stopped.child.kill('SIGINT');
    expect((await stopped.ended).code).toBe(130);
    expect(stopped.messages).toContain('SIGINT: ending; the trained model is saved');
    expect(stopped.output).toBe(`Trained and saved, but not evaluated. Do that with --resume --out ${run}\n`);
    expect(existsSync(join(run, 'summary.json'))).toBe(false);

    const before = fingerprint(run);
    const { output } = await resume(run, '--test-windows', '10');
    expect(fingerprint(run)).toEqual(before);
    const summary = JSON.parse(readFileSync(join(run, 'summary.json'), 'utf8'));
    expect(summary).toMatchObject({ steps: 5, tokens: 5 * 4 * 16, testTokens: 160 });
    expect(output).toContain('over 160 held-out tokens');
    expect(existsSync(join(run, 'report.html'))).toBe(true);
  });
});

describe('a reader that goes away', () => {
  it('does not end a run: metrics and checkpoints go on, and so does the exit code', async () => {
    const run = path('unheard');
    const unheard = startProcess(...train(run));
    await waitUntil(unheard, () => unheard.messages.length > 0);
    unheard.child.stdout!.destroy();
    unheard.child.stderr!.destroy();
    expect((await unheard.ended).code).toBe(0);
    expect(fingerprint(run)).toEqual(fingerprint(reference));
    expect(existsSync(join(run, 'summary.json'))).toBe(true);
  });

  it('ends a command whose output is the product, quietly', async () => {
    const sample = startProcess('sample', reference, '--backend', 'cpu', '--max-tokens', '1000000');
    await waitUntil(sample, () => sample.output.length > 0);
    sample.child.stdout!.destroy();
    expect(await sample.ended).toMatchObject({ code: 0, messages: '' });
  });
});

it('a run directory that vanishes while it is trained ends the run with an error, and is not made again', async () => {
  const run = path('vanished');
  const lost = startProcess(...train(run, '--max-steps', '1000000', '--eval-every', '0'));
  await waitUntil(lost, () => checkpointsOf(run).length > 0);
  renameSync(run, path('moved'));
  expect((await lost.ended).code).toBe(74);
  expect(lost.messages).toMatch(/error: .*vanished is no longer this run's/);
  expect(existsSync(run)).toBe(false);
  const step = lastStep(path('moved'));
  await mustRun('train', '--resume', '--out', path('moved'), '--max-steps', String(step + 1));
  expect(lastStep(path('moved'))).toBe(step + 1);
});

describe('divergence', () => {
  it.each<{ flags: string[] }>([{ flags: [] }, { flags: ['--warmup-steps', '0', '--width', '64'] }])('F19: a run without a finite result shows and counts its skipped updates, and ends with 70: %j', async ({ flags }) => {
    const run = path(`diverged-${flags.length}`);
    const { code, output, messages } = await runHere(...train(run, '--learning-rate', '1e9', '--eval-every', '0', ...flags));
    expect(code).toBe(70);
    expect(messages).toMatch(/step \d+: the gradient was not finite .*the first such update/);
    expect(messages).toMatch(/error: the run ended without a finite result: test perplexity (NaN|Infinity); \d+ of 40 updates were skipped/);
    expect(output).toMatch(/\d+ of the updates were skipped/);
    const summary = JSON.parse(readFileSync(join(run, 'summary.json'), 'utf8'));
    expect(summary.skippedUpdates).toBeGreaterThan(30);
    expect(metricsOf(run).findLast(({ kind }) => kind === 'step')).toMatchObject({ skippedUpdates: summary.skippedUpdates });
    expect(readFileSync(join(run, 'report.html'), 'utf8')).toContain('updates skipped');
  });

  it('the advice of the error works: --resume with a lower learning rate goes on from the last good checkpoint, and is recorded', async () => {
    const run = path('recovered');
    await mustRun(...train(run, '--stop-after', '10'));
    const diverged = await runHere('train', '--resume', '--out', run, '--learning-rate', '1e9', '--max-steps', '100');
    expect(diverged.code).toBe(70);
    expect(diverged.messages).toMatch(/go on from step 1\d with --resume and a lower --learning-rate, or from an earlier checkpoint with --checkpoint NAME \(step-0000000?/);
    await mustRun('train', '--resume', '--out', run, '--checkpoint', 'step-00000010', '--learning-rate', '1e-3', '--max-steps', '20');
    expect(lastStep(run)).toBe(20);
    const { config, changes } = JSON.parse(readFileSync(join(run, 'config.json'), 'utf8'));
    expect(config.train).toMatchObject({ learningRate: 1e-3, steps: 20, warmupSteps: 1 });
    expect(changes).toMatchObject([{ step: 10, changed: { 'train.learningRate': ['0.006', '1000000000'], 'train.steps': ['40', '100'] } }, { step: 10, changed: { 'train.learningRate': ['1000000000', '0.001'] } }]);
    const shown = /<section id="changes".*?<\/section>/s.exec(readFileSync(join(run, 'report.html'), 'utf8'))?.[0];
    for (const text of ['train.learningRate', '<td>0.006</td><td>1000000000</td>', '<td>1000000000</td><td>0.001</td>', 'train.steps']) expect(shown).toContain(text);
  });
});

it('a finished run is extended by --resume --max-steps', async () => {
  const run = path('extended');
  cpSync(reference, run, { recursive: true });
  const { messages } = await resume(run, '--max-steps', '50');
  expect(messages).toContain('From step 40 on: train.steps 40 → 50');
  expect(lastStep(run)).toBe(50);
  const refused = await runHere('train', '--resume', '--out', run, '--max-steps', '45');
  expect(refused).toMatchObject({ code: 2, messages: expect.stringContaining('50 steps behind it') });
});

it('--stop-after N and resuming is training in one go', async () => {
  const run = path('stopped');
  const first = await mustRun(...train(run, '--stop-after', '17'));
  expect(first.output).toContain(`Stopped after 17 of ${STEPS} steps`);
  await resume(run, '--stop-after', '30');
  expect(lastStep(run)).toBe(30);
  await resume(run);
  expect(fingerprint(run)).toEqual(fingerprint(reference));
});

it('names and skips a damaged newest checkpoint, and uses the one before', async () => {
  const run = path('damaged');
  cpSync(reference, run, { recursive: true });
  const [, newest] = checkpointsOf(run);
  const file = join(run, 'checkpoints', newest!, 'parameters.safetensors');
  const bytes = readFileSync(file);
  bytes[bytes.length - 5]! ^= 1;
  writeFileSync(file, bytes);
  const { messages } = await resume(run);
  expect(messages).toMatch(new RegExp(`checkpoint .*${newest} is skipped: .*parameters.safetensors`));
  expect(fingerprint(run)).toEqual(fingerprint(reference));
});

it('F27, F30: refuses to resume what is no run, another configuration, or another tokenizer', async () => {
  expect(await runHere('train', '--resume', '--out', path('nothing'))).toMatchObject({ code: 2, messages: expect.stringContaining('nothing holds no run') });
  expect((await runHere('train', '--resume')).messages).toContain('--resume needs --out');
  const changed = await runHere('train', '--resume', '--out', reference, '--seed', '5', '--threshold', '0.7');
  expect(changed.code).toBe(2);
  expect(changed.messages).toMatch(/train\.seed was .* and is now 5/);
  expect(changed.messages).toMatch(/moe\.router\.threshold was 0\.9 and is now 0\.7/);
  expect(changed.messages).not.toContain('data.');
});

it('refuses --out of a run that exists, and leaves it as it is', async () => {
  const before = fingerprint(reference);
  const refused = await runHere(...train(reference));
  expect(refused).toMatchObject({ code: 2, output: '' });
  expect(refused.messages).toContain(`${reference} holds a run already`);
  expect(fingerprint(reference)).toEqual(before);
});

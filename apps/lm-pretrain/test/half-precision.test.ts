// Half precision on the compiled backend: a model whose activations make the engine's memory grow in the middle of kernels trains to
// the end, resumes, and gives the same bits with any number of threads. What the memory itself does is tested in @xmoe/backend-cpu.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { fingerprint, metricsOf, mustRun, temporaryFolder, writeCorpus } from './support.js';

const path = temporaryFolder();
const corpus = writeCorpus(path('corpus.jsonl'), 400);
const given = process.env['XMOE_THREADS'];
afterEach(() => {
  if (given === undefined) delete process.env['XMOE_THREADS'];
  else process.env['XMOE_THREADS'] = given;
});

const train = (out: string, ...more: string[]) => mustRun(
  'train', '--preset', 'tiny', '--backend', 'cpu:wasm', '--precision', 'float16', '--data', corpus, '--data-root', path('data'),
  '--set', 'data.tokenizer.vocabularySize=2000', '--validation-fraction', '0.1', '--test-fraction', '0.1', '--width', '32', '--heads', '2', '--hidden', '64', '--expert-hidden', '32',
  '--batch-size', '4', '--max-steps', '3', '--warmup-steps', '1', '--eval-every', '3', '--eval-windows', '8', '--test-windows', '8', '--out', out, ...more,
);

it('trains, is scored, resumes, and does not depend on the threads', async () => {
  const fingerprints: unknown[] = [];
  for (const threads of [1, 2, 4]) {
    process.env['XMOE_THREADS'] = String(threads);
    const [whole, stopped] = [path(`whole-${threads}`), path(`stopped-${threads}`)];
    await train(whole);
    expect(metricsOf(whole).filter(({ loss }) => loss !== undefined && Number.isFinite(loss)).length).toBeGreaterThanOrEqual(3);
    expect(JSON.parse(readFileSync(join(whole, 'summary.json'), 'utf8')).testPerplexity).toBeGreaterThan(1);
    await train(stopped, '--stop-after', '1');
    await mustRun('train', '--resume', '--out', stopped);
    fingerprints.push(fingerprint(whole), fingerprint(stopped));
  }
  for (const one of fingerprints) expect(one).toEqual(fingerprints[0]);
});

// import and export: weights as a run, a run as a Hugging Face folder, and back to the bit; and what Python makes of the folder.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readSafetensors } from '@xmoe/train/node';
import { beforeAll, describe, expect, it } from 'vitest';
import { EXPERTS, mustRun, runHere, SMALL, temporaryFolder, writeCorpus } from './support.js';

const path = temporaryFolder();
const published = (name: string): string => fileURLToPath(new URL(`../../../packages/testing/golden/published/${name}`, import.meta.url));
const tensorsOf = async (folder: string) => {
  const { tensors } = await readSafetensors(join(folder, 'model.safetensors'));
  return tensors.toSorted((a, b) => (a.name < b.name ? -1 : 1));
};
const configOf = (folder: string) => JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as Record<string, unknown>;

/** Where `bench/install-peers.mjs` puts PyTorch and transformers: the reference itself, where it is at hand. */
const python = join(process.env.XMOE_PEERS ?? fileURLToPath(new URL('../../../.xmoe/peers', import.meta.url)), 'python', 'bin', 'python');
const hasTransformers = existsSync(python) && (() => {
  try {
    execFileSync(python, ['-c', 'import torch, transformers'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

const NAMES = ['usual', 'untied', 'xmoe-threshold', 'xmoe-shares', 'xmoe-topk', 'xmoe-base'];

describe.each(NAMES)('the folder %s', (name) => {
  it('is the same to the bit after import and export', async () => {
    const { output } = await mustRun('import', published(name), '--out', path(name));
    expect(output).toMatch(/parameters of the Hugging Face folder/);
    await mustRun('export', path(name), path(`${name}-again`));
    expect(await tensorsOf(path(`${name}-again`))).toEqual(await tensorsOf(published(name)));
    const { transformers_version: _, moe, ...rest } = configOf(path(`${name}-again`));
    const given = configOf(published(name));
    for (const [key, value] of Object.entries(rest)) if (key in given && key !== 'n_inner') expect(value, key).toEqual(given[key]);
    if (given.moe) expect(moe).toMatchObject(given.moe);
    expect(rest.n_inner).toBe(given.n_inner ?? 4 * (given.n_embd as number));
    expect(readdirSync(path(`${name}-again`)).sort()).toEqual([
      'README.md', 'config.json', 'generation_config.json', 'model.safetensors', ...(moe ? ['modeling_xmoe.py'] : []), 'tokenizer.json', 'tokenizer_config.json',
    ]);
  });
});

it('half precision stays as it is', async () => {
  await mustRun('import', published('shards'), '--out', path('half'));
  await mustRun('export', path('half'), path('half-1'), '--dtype', 'float16');
  await mustRun('import', path('half-1'), '--out', path('half-2'));
  await mustRun('export', path('half-2'), path('half-3'), '--dtype', 'float16');
  expect(readFileSync(path('half-3', 'model.safetensors'))).toEqual(readFileSync(path('half-1', 'model.safetensors')));
  const shards = (await Promise.all(['1', '2'].map((part) => readSafetensors(join(published('shards'), `model-0000${part}-of-00002.safetensors`))))).flatMap(({ tensors }) => tensors);
  expect(await tensorsOf(path('half-1'))).toEqual(shards.toSorted((a, b) => (a.name < b.name ? -1 : 1)));
});

describe('a trained run', () => {
  const data = writeCorpus(path('corpus.jsonl'));
  beforeAll(() => mustRun('train', ...SMALL, ...EXPERTS, '--data', data, '--data-root', path('data'), '--out', path('run'), '--max-steps', '4'), 60_000);

  it('has a card with its figures, and says the same when it comes back', async () => {
    const { output } = await mustRun('export', path('run'), path('folder'), '--title', 'A small model');
    expect(output).toContain('trust_remote_code=True');
    const summary = JSON.parse(readFileSync(path('run', 'summary.json'), 'utf8')) as { leakFreeTestPerplexity: number };
    const card = readFileSync(path('folder', 'README.md'), 'utf8');
    expect(card).toContain('# A small model\n');
    expect(card).toContain('in every 2nd layer 4 experts of 16 units (router: threshold, threshold 0.9)');
    expect(card).toContain(`| ${summary.leakFreeTestPerplexity.toFixed(2)} |`);
    expect(card).toContain('on `corpus.jsonl`.');
    expect(card).not.toContain(path()); // where files lay is nobody's business
    await mustRun('import', path('folder'), '--out', path('back'));
    const sample = async (run: string) => (await mustRun('sample', path(run), '--backend', 'tfjs:wasm', '--max-tokens', '12', '--temperature', '0')).output;
    expect(await sample('back')).toBe(await sample('run'));
    const flags = ['--backend', 'tfjs:wasm', '--max-windows', '8', '--json', '--data-root', path('data')];
    const score = async (...args: string[]) => JSON.parse((await mustRun('eval', ...args, ...flags)).output) as { tokens: number; leakFree: { perplexity: number } };
    expect((await score(path('back'), '--data', data, '--split', 'train')).leakFree.perplexity).toBeGreaterThan(1);
    expect((await score(path('run'), '--data', data)).leakFree.perplexity).toBe((await score(path('run'))).leakFree.perplexity); // the same text, named
  });

  it('is no training to go on with once it is imported, and a folder has no text of its own', async () => {
    await mustRun('import', path('folder'), '--out', path('weights'));
    expect(await runHere('train', '--resume', '--out', path('weights'))).toMatchObject({ code: 2, messages: expect.stringContaining('holds weights, and no training to go on with') });
    expect(await runHere('eval', path('weights'), '--backend', 'tfjs:wasm')).toMatchObject({ code: 65, messages: expect.stringContaining('name text with --data') });
  });
});

it.each([
  [['export', published('usual'), published('usual')], 'exists already'],
  [['export', published('usual'), path('new'), '--dtype', 'int8'], "argument 'int8' is invalid. It is one of float32, float16."],
  [['export', path('nowhere'), path('new')], 'there are no weights at'],
  [['import', published('usual'), '--out', path('half')], 'holds a run already'],
  [['import', published('usual')], "required option '--out <dir>' not specified"],
  [['import', published('usual'), '--out', path('new'), '--width', '3'], 'unknown option'],
])('refuses %j, and leaves nothing', async (args, message) => {
  const refused = await runHere(...args);
  expect(refused).toMatchObject({ output: '', messages: expect.stringContaining(message) });
  expect(existsSync(path('new'))).toBe(false);
});

/** Loads each folder as a user would; logits and tokens are compared with the golden file beside it. */
const LOAD = `
import json, sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
out = []
for folder, golden in json.loads(sys.argv[1]):
    expected = json.load(open(golden))
    model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True).eval()
    logits = model(torch.tensor(expected["ids"])).logits[:, -2:]
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
    same = all(tokenizer(text["text"])["input_ids"] == text["ids"] for text in expected["texts"])
    out.append([(logits - torch.tensor(expected["logits"])).abs().max().item(), same, type(model).__name__])
print(json.dumps(out))`;

it.skipIf(!hasTransformers)('transformers loads the folders, and computes the logits of the golden files (skipped without them: node bench/install-peers.mjs)', () => {
  const folders = NAMES.map((name) => [path(`${name}-again`), join(published(name), 'expected.json')]);
  // A threshold for each layer instead of the one of the router, which would give other logits.
  const layered = path('layered');
  cpSync(path('xmoe-threshold-again'), layered, { recursive: true });
  const config = JSON.parse(readFileSync(join(layered, 'config.json'), 'utf8'));
  const thresholds = Array.from({ length: Math.floor(config.n_layer / config.moe.every) }, () => config.moe.router.threshold);
  writeFileSync(join(layered, 'config.json'), JSON.stringify({ ...config, moe: { ...config.moe, router: { ...config.moe.router, threshold: 1 }, thresholds } }));
  folders.push([layered, join(published('xmoe-threshold'), 'expected.json')]);
  const found = JSON.parse(execFileSync(python, ['-c', LOAD, JSON.stringify(folders)], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })) as [number, boolean, string][];
  NAMES.forEach((name, index) => {
    const [difference, sameTokens, kind] = found[index]!;
    expect(difference, name).toBeLessThan(1e-4);
    expect(sameTokens, name).toBe(true);
    expect(kind).toBe(name.startsWith('xmoe') ? 'XmoeForCausalLM' : 'GPT2LMHeadModel');
  });
  expect(found.at(-1)![0]).toBeLessThan(1e-4);
}, 300_000);
